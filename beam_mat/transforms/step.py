"""What the steps that open files have in common."""

from __future__ import annotations

import apache_beam as beam

from beam_mat.core.settings import Settings
from beam_mat.storage import stores


class FileStep(beam.DoFn):
    """A step that opens files, wherever its worker runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def setup(self) -> None:
        """Tells this worker how stores are reached."""
        stores.use_in_worker(self._settings.storage)
