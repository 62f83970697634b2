"""Which chunks wait for which images, and which records repeat an id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam

from beam_mat.core.chunk import Chunk
from beam_mat.core.notes import ChunkFact, PathFact
from beam_mat.core.record import Trajectory, parse
from beam_mat.core.settings import Settings
from beam_mat.storage import shards
from beam_mat.transforms.measure import tell, timed


@beam.typehints.with_input_types(Chunk)
@beam.typehints.with_output_types(tuple[str, PathFact])
class RequestImages(beam.DoFn):
    """Yields each distinct image path of a chunk's records, asked for by the chunk."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, chunk: Chunk) -> Iterator[tuple[str, PathFact]]:
        """Parses the chunk's records."""
        with timed("request"):
            paths: dict[str, None] = {}
            for trajectory in _trajectories(chunk, self._settings):
                paths.update(dict.fromkeys(trajectory[1].images))
        tell(self._settings.progress, requested=chunk.count)
        asked = PathFact(chunk=chunk.name)
        for path in paths:
            yield path, asked


@beam.typehints.with_input_types(Chunk)
@beam.typehints.with_output_types(tuple[str, tuple[int, int, str]])
class ListIds(beam.DoFn):
    """Yields each record's id, with the shard's order, the record's index and the chunk's name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, chunk: Chunk) -> Iterator[tuple[str, tuple[int, int, str]]]:
        """Parses the chunk's records; one that is rejected anyway takes no id from another."""
        for index, trajectory in _trajectories(chunk, self._settings):
            yield trajectory.id, (chunk.shard.order, index, chunk.name)


@beam.typehints.with_input_types(tuple[str, Iterable[tuple[int, int, str]]])
@beam.typehints.with_output_types(tuple[str, ChunkFact])
class FindRepeated(beam.DoFn):
    """Yields chunk name and index of every record of an id but the first."""

    def process(
        self, element: tuple[str, Iterable[tuple[int, int, str]]]
    ) -> Iterator[tuple[str, ChunkFact]]:
        """Keeps the record that comes first in the first shard."""
        for _, index, name in sorted(element[1])[1:]:
            yield name, ChunkFact(repeated=index)


def _trajectories(chunk: Chunk, settings: Settings) -> Iterator[tuple[int, Trajectory]]:
    if chunk.fault:
        return
    for record in shards.records(chunk):
        parsed = parse(record.data, settings.prefixes)
        if isinstance(parsed, Trajectory):
            yield record.index, parsed
