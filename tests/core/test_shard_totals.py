"""The chunks of a shard, added up: what does not add up is an error that names the place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import LostRecordError
from beam_mat.core.notes import ChunkNote, Part, RejectCount, ShardNote
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.scan import Layout
from beam_mat.core.shard_totals import ShardTotals, add_up_shard
from beam_mat.core.statistics import Statistics

SHARD = Shard("in/é.json", 1, 90, "v1")
CHUNKS = tuple(
    Chunk(f"é-{at}", SHARD, Layout.ARRAY, at * 30, at * 30 + 30, at * 3, 3) for at in range(3)
)
SPLIT = ShardNote(SHARD, 9, CHUNKS)


def note_of(of: Chunk, **change: Any) -> ChunkNote:
    """Two records accepted, one rejected."""
    where = ("in/é.json", of.first, of.start, of.start + 1)
    reject = Reject(Reason.NOT_AN_OBJECT, "a number", *where, None, "1")
    part = Part(f"jsonl/{of.name}.jsonl", "jsonl", "train", 2, 1, 10, "00")
    note = ChunkNote(
        generation="now",
        outcomes="",
        chunk=of,
        accepted=2,
        respelled=1,
        image_uses=4,
        rejected=(RejectCount(Reason.NOT_AN_OBJECT, 1, reject),),
        units=(),
        parts=(part,),
        rejects=msgspec.structs.replace(part, path=f"rejects/{of.name}.jsonl"),
        statistics=Statistics(turns={2: 2}),
    )
    return msgspec.structs.replace(note, **change)


def added(split: ShardNote, *notes: ChunkNote) -> ShardTotals:
    return add_up_shard(split, notes, ShardTotals("now", SHARD))


def test_everything_is_added_up_in_order() -> None:
    totals = added(SPLIT, *map(note_of, CHUNKS))
    assert (totals.accepted, totals.rejected_records) == (6, 3)
    assert (totals.respelled, totals.image_uses) == (3, 12)
    assert totals.rejected[Reason.NOT_AN_OBJECT].first.index == 0
    assert [part.path for part in totals.parts] == [f"jsonl/é-{at}.jsonl" for at in range(3)]
    assert [part.path for part in totals.rejects] == [f"rejects/é-{at}.jsonl" for at in range(3)]
    assert totals.statistics.turns == {2: 6}


def test_a_split_from_before_another_shard_came_holds() -> None:
    earlier = msgspec.structs.replace(SHARD, order=0)
    chunks = tuple(msgspec.structs.replace(chunk, shard=earlier) for chunk in CHUNKS)
    assert added(ShardNote(earlier, 9, chunks), *map(note_of, CHUNKS)).accepted == 6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"accepted": 1}, "3 records in, 1 accepted, 1 rejected"),
        ({"accepted": 3}, "3 records in, 3 accepted, 1 rejected"),
        ({"rejected": ()}, "3 records in, 2 accepted, 0 rejected"),
        ({"generation": "before"}, "an earlier run wrote this chunk"),
        ({"chunk": CHUNKS[0]}, "an earlier run wrote this chunk"),
    ],
)
def test_what_does_not_add_up_is_lost(change: dict[str, Any], told: str) -> None:
    notes = [note_of(CHUNKS[0]), note_of(CHUNKS[1], **change), note_of(CHUNKS[2])]
    with pytest.raises(LostRecordError, match=f"in/é.json, bytes 30 to 60: {told}"):
        added(SPLIT, *notes)
