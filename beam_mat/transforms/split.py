"""Shards to chunks."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import msgspec

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.notes import ShardNote
from beam_mat.storage import inputs, notes, shards
from beam_mat.transforms.measure import tell, timed
from beam_mat.transforms.step import FileStep


@beam.typehints.with_input_types(Shard)
@beam.typehints.with_output_types(Chunk)
class SplitShard(FileStep):
    """Scans a shard once and yields references to its chunks.

    A shard that an earlier run has scanned is not read: its note lists them.
    """

    def process(self, shard: Shard) -> Iterator[Chunk]:
        """Yields chunks in order, and leaves a note of how many records there were."""
        name = shard.stem(self._settings.digest())
        note = notes.earlier(self._settings, layout.SHARD_NOTES, name, ShardNote)
        if note:
            # Its place among the shards is none of what names depend on, and may have changed.
            found: Iterator[Chunk] = (
                msgspec.structs.replace(chunk, shard=shard) for chunk in note.chunks
            )
        else:
            found = shards.chunks(shard, self._settings.digest())
        chunks = []
        at = 0
        while True:
            with timed("split"):
                chunk = next(found, None)
            if chunk is None:
                break
            chunks.append(chunk)
            tell(self._settings.progress, records=chunk.count, bytes=chunk.end - at)
            at = chunk.end
            yield chunk
        tell(self._settings.progress, bytes=shard.size - at)
        if not note:
            inputs.hold(shard)
            records = sum(chunk.count for chunk in chunks)
            note = ShardNote(shard, records, tuple(chunks))
            notes.leave(self._settings, layout.SHARD_NOTES, name, note)
