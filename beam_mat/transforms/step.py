"""The base class of the steps that open files."""

from __future__ import annotations

import apache_beam as beam

from beam_mat.core.settings import Settings
from beam_mat.storage import stores


class FileStep(beam.DoFn):
    """A step that opens files, on any worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def setup(self) -> None:
        """Sets the storage options in this worker."""
        stores.use_in_worker(self._settings.storage)
