"""Yields the images that chunks request, and the records that repeat an id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam

from beam_mat.core.chunk import Chunk
from beam_mat.core.references import ChunkFact, PathFact
from beam_mat.transforms.measure import tell, timed
from beam_mat.transforms.step import FileStep
from beam_mat.work import chunks


@beam.typehints.with_input_types(Chunk)
@beam.typehints.with_output_types(tuple[str, PathFact])
class RequestImages(FileStep):
    """Yields each distinct image path in a chunk's records, with the chunk's name."""

    def process(self, chunk: Chunk) -> Iterator[tuple[str, PathFact]]:
        with timed("request"):
            found = chunks.request(self._settings, chunk)
        tell(self._settings.progress, requested=chunk.count)
        asked = PathFact(chunk=chunk.name)
        for path in found.images:
            yield path, asked


@beam.typehints.with_input_types(Chunk)
@beam.typehints.with_output_types(tuple[str, tuple[int, int, str]])
class ListIds(FileStep):
    """Yields each record's id, with the shard's order, the record's index and the chunk's name."""

    def process(self, chunk: Chunk) -> Iterator[tuple[str, tuple[int, int, str]]]:
        """Parses the chunk's records. Ids of invalid records do not count."""
        for index, id in chunks.ids(self._settings, chunk):
            yield id, (chunk.shard.order, index, chunk.name)


@beam.typehints.with_input_types(tuple[str, Iterable[tuple[int, int, str]]])
@beam.typehints.with_output_types(tuple[str, ChunkFact])
class FindRepeated(beam.DoFn):
    """Yields chunk name and index of every record whose id an earlier record has."""

    def process(
        self, element: tuple[str, Iterable[tuple[int, int, str]]]
    ) -> Iterator[tuple[str, ChunkFact]]:
        """Keeps the first record of the first shard."""
        for _, index, name in sorted(element[1])[1:]:
            yield name, ChunkFact(repeated=index)
