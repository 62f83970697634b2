"""Keeps report.html up to date, and uses only a small part of the time for it."""

from __future__ import annotations

import logging
import time

from beam_mat.core.errors import BeamMatError
from beam_mat.dataset import manifest
from beam_mat.dataset.commit import Snapshot
from beam_mat.report.write import write_of

SHARE = 20
"""After writing a report, waits for this many times the duration before the next one."""

_LOG = logging.getLogger(__name__)


class Refresh:
    """Writes the report when there is a new generation and enough time has passed."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._reported = 0
        self._next = 0.0

    def look(self, snapshot: Snapshot, *, last: bool = False) -> None:
        """Writes the report if it is due. Logs errors: the dataset is complete without the report.

        Args:
            snapshot: The newest generation.
            last: Whether this is the last call, so that a new generation is always reported.
        """
        begin = time.monotonic()
        if snapshot.number == self._reported or (begin < self._next and not last):
            return
        try:
            found = manifest.read(self._output)
            if found is None or found.generation != snapshot.number:
                return  # the manifest is written right after the commit
            write_of(self._output, found, snapshot)
            self._reported = snapshot.number
        except (OSError, BeamMatError) as error:
            _LOG.warning("the report could not be written: %s", error)
        now = time.monotonic()
        self._next = now + SHARE * (now - begin)
