"""A shard becomes references to its chunks, and a result with the number of its records."""

from __future__ import annotations

from pathlib import Path

from beam_mat.core import layout
from beam_mat.core.results import ShardSplit
from beam_mat.core.settings import Settings
from beam_mat.storage import files
from beam_mat.transforms.split import SplitShard
from beam_mat.work import results
from tests.making import record
from tests.transforms.collect import collect
from tests.transforms.conftest import ShardOf


def test_the_chunks_hold_every_record(settings: Settings, shard_of: ShardOf) -> None:
    large = [record(f"{n}", system="s" * 500_000) for n in range(20)]
    shards = [shard_of(large), shard_of([record("x")]), shard_of([])]
    chunks = collect(shards, SplitShard(settings))
    first = sorted((c for c in chunks if c.shard == shards[0]), key=lambda chunk: chunk.start)
    assert len(first) > 1
    assert [chunk.first for chunk in first] == [
        sum(before.count for before in first[:place]) for place in range(len(first))
    ]
    assert [c.count for c in chunks if c.shard == shards[1]] == [1]
    stems = [shard.stem(settings.digest()) for shard in shards]
    found = list(results.read(settings, layout.SPLITS, stems, ShardSplit))
    assert [one.records for one in found] == [20, 1, 0]
    assert [len(one.chunks) for one in found] == [len(first), 1, 0]
    assert list(found[0].chunks) == first


def test_a_shard_that_is_no_json_is_one_chunk_with_a_fault(
    settings: Settings, shard_of: ShardOf
) -> None:
    shard = shard_of([])
    Path(shard.uri).write_bytes(b"<html>")
    version = files.info(shard.uri).version
    (chunk,) = collect([type(shard)(shard.uri, 0, 6, version)], SplitShard(settings))
    assert (chunk.count, chunk.fault, chunk.start, chunk.end) == (1, "malformed_json", 0, 6)
