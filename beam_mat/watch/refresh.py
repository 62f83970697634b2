"""Keeps report.html current, without taking more than a small part of the time."""

from __future__ import annotations

import logging
import time

from beam_mat import manifest
from beam_mat.core.errors import BeamMatError
from beam_mat.core.generation import Contents
from beam_mat.report import watched

SHARE = 20
"""After a report that took a second, the next is made so many seconds later at the earliest."""

_LOG = logging.getLogger(__name__)


class Refresh:
    """Makes the report when there is a new generation and it is time."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._made_of = 0
        self._next = 0.0

    def look(self, contents: Contents, *, last: bool = False) -> None:
        """Makes the report, if need be.

        A report that cannot be made ends no watch: the dataset is whole without it.

        Args:
            contents: What is in the dataset.
            last: Whether it is now or never.
        """
        begin = time.monotonic()
        if contents.number == self._made_of or (begin < self._next and not last):
            return
        try:
            found = manifest.read(self._output)
            if found is None or found.generation != contents.number:
                return  # it follows in a moment
            watched.write(self._output, found, contents)
            self._made_of = contents.number
        except (OSError, BeamMatError) as error:
            _LOG.warning("the report could not be made: %s", error)
        now = time.monotonic()
        self._next = now + SHARE * (now - begin)
