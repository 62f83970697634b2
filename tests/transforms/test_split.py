"""A shard becomes references to its chunks, and a note of how many records there were."""

from __future__ import annotations

from pathlib import Path

from beam_mat.core import layout
from beam_mat.core.notes import ShardNote
from beam_mat.core.settings import Settings
from beam_mat.storage import files, notes
from beam_mat.transforms.split import SplitShard
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
    found = {note.shard: note for note in notes.collect(settings, layout.SHARD_NOTES, ShardNote)}
    assert [found[shard].records for shard in shards] == [20, 1, 0]
    assert [len(found[shard].chunks) for shard in shards] == [len(first), 1, 0]
    assert sorted(found[shards[0]].chunks, key=lambda chunk: chunk.start) == first


def test_a_shard_that_is_no_json_is_one_chunk_with_a_fault(
    settings: Settings, shard_of: ShardOf
) -> None:
    shard = shard_of([])
    Path(shard.uri).write_bytes(b"<html>")
    version = files.info(shard.uri).version
    (chunk,) = collect([type(shard)(shard.uri, 0, 6, version)], SplitShard(settings))
    assert (chunk.count, chunk.fault, chunk.start, chunk.end) == (1, "malformed_json", 0, 6)
