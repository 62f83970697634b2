"""Shards to chunks."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.notes import ShardNote
from beam_mat.core.settings import Settings
from beam_mat.storage import notes, shards
from beam_mat.transforms.measure import tell, timed


@beam.typehints.with_input_types(Shard)
@beam.typehints.with_output_types(Chunk)
class SplitShard(beam.DoFn):
    """Scans a shard once and yields references to its chunks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, shard: Shard) -> Iterator[Chunk]:
        """Yields chunks in order, and leaves a note of how many records there were."""
        records = number = at = 0
        found = shards.chunks(shard, self._settings.digest())
        while True:
            with timed("split"):
                chunk = next(found, None)
            if chunk is None:
                break
            records += chunk.count
            number += 1
            tell(self._settings.progress, records=chunk.count, bytes=chunk.end - at)
            at = chunk.end
            yield chunk
        tell(self._settings.progress, bytes=shard.size - at)
        note = ShardNote(shard, records, number)
        name = f"{shard.order:06d}-{shard.stem(self._settings.digest())}"
        notes.leave(self._settings, layout.SHARD_NOTES, name, note)
