"""What earlier runs on the same output found out about images."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from beam_mat.core.notes import PathFact
from beam_mat.storage import files, images
from beam_mat.transforms.step import FileStep


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(str)
class ListNotes(FileStep):
    """Yields the names of the batch notes, of every generation."""

    def process(self, folder: str) -> Iterator[str]:
        """Lists the folder."""
        for name, _ in files.find(files.join(self._settings.output, folder)):
            yield name


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(tuple[str, PathFact])
class ReadNotes(FileStep):
    """Yields for each image that a batch note tells of that it does.

    What it tells is read again where it is needed: it would be held in memory until then.
    """

    def process(self, name: str) -> Iterator[tuple[str, PathFact]]:
        """Reads the paths alone."""
        told = PathFact(note=name)
        for path in images.found_paths(self._settings, name):
            yield path, told
