"""Which chunks wait for which images, and which records repeat an id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk
from beam_mat.core.notes import ChunkFact, PathFact, RequestNote
from beam_mat.core.record import Trajectory, parse
from beam_mat.core.settings import Settings
from beam_mat.storage import notes, shards
from beam_mat.transforms.measure import tell, timed
from beam_mat.transforms.step import FileStep


@beam.typehints.with_input_types(Chunk)
@beam.typehints.with_output_types(tuple[str, PathFact])
class RequestImages(FileStep):
    """Yields each distinct image path of a chunk's records, asked for by the chunk.

    A chunk that an earlier run has read is not read again: its note lists them.
    """

    def process(self, chunk: Chunk) -> Iterator[tuple[str, PathFact]]:
        """Parses the chunk's records, and leaves a note of what they ask for."""
        with timed("request"):
            note = _earlier(chunk, self._settings) or self._request(chunk)
        tell(self._settings.progress, requested=chunk.count)
        asked = PathFact(chunk=chunk.name)
        for path in note.images:
            yield path, asked

    def _request(self, chunk: Chunk) -> RequestNote:
        paths: dict[str, None] = {}
        ids = []
        for index, trajectory in _trajectories(chunk, self._settings):
            paths.update(dict.fromkeys(trajectory.images))
            if self._settings.drop_duplicates:
                ids.append((index, trajectory.id))
        note = RequestNote(tuple(paths), tuple(ids))
        notes.leave(self._settings, layout.REQUEST_NOTES, chunk.name, note)
        return note


@beam.typehints.with_input_types(Chunk)
@beam.typehints.with_output_types(tuple[str, tuple[int, int, str]])
class ListIds(FileStep):
    """Yields each record's id, with the shard's order, the record's index and the chunk's name."""

    def process(self, chunk: Chunk) -> Iterator[tuple[str, tuple[int, int, str]]]:
        """Parses the chunk's records; one that is rejected anyway takes no id from another."""
        note = _earlier(chunk, self._settings)
        if note:
            ids: Iterable[tuple[int, str]] = note.ids
        else:
            found = _trajectories(chunk, self._settings)
            ids = ((index, trajectory.id) for index, trajectory in found)
        for index, id in ids:
            yield id, (chunk.shard.order, index, chunk.name)


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


def _earlier(chunk: Chunk, settings: Settings) -> RequestNote | None:
    return notes.earlier(settings, layout.REQUEST_NOTES, chunk.name, RequestNote)


def _trajectories(chunk: Chunk, settings: Settings) -> Iterator[tuple[int, Trajectory]]:
    if chunk.fault:
        return
    for record in shards.records(chunk):
        parsed = parse(record.data, settings.prefixes)
        if isinstance(parsed, Trajectory):
            yield record.index, parsed
