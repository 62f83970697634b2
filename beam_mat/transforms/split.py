"""Splits shards into chunks."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.transforms.measure import tell, timed
from beam_mat.transforms.step import FileStep
from beam_mat.work import chunks


@beam.typehints.with_input_types(Shard)
@beam.typehints.with_output_types(Chunk)
class SplitShard(FileStep):
    """Scans a shard once and yields references to its chunks; see `work.chunks.split`."""

    def process(self, shard: Shard) -> Iterator[Chunk]:
        found = chunks.split(self._settings, shard)
        at = 0
        while True:
            with timed("split"):
                chunk = next(found, None)
            if chunk is None:
                break
            tell(self._settings.progress, records=chunk.count, bytes=chunk.end - at)
            at = chunk.end
            yield chunk
        tell(self._settings.progress, bytes=shard.size - at)
