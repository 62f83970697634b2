"""What decides a chunk's output, and the chunks of a shard summed up: lost records are an error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import LostRecordError
from beam_mat.core.image import ImageFault
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.results import (
    ChunkOutput,
    ImageOutcome,
    Part,
    RejectCount,
    ShardSplit,
    ShardSummary,
    Unit,
    check_records,
    outcomes_digest,
    sum_rejected,
    summarise,
)
from beam_mat.core.scan import Layout
from beam_mat.core.statistics import Statistics

SHARD = Shard("in/é.json", 1, 90, "v1", 7)
CHUNKS = tuple(
    Chunk(f"é-{at}", SHARD, Layout.ARRAY, at * 30, at * 30 + 30, at * 3, 3) for at in range(3)
)
SPLIT = ShardSplit(9, CHUNKS)


def output_of(of: Chunk, **change: Any) -> ChunkOutput:
    """Two records accepted, one rejected."""
    where = ("in/é.json", of.first, of.start, of.start + 1)
    reject = Reject(Reason.NOT_AN_OBJECT, "a number", *where, None, "1")
    part = Part(f"jsonl/{of.name}.jsonl", "jsonl", "train", 2, 1, 10, "00")
    output = ChunkOutput(
        records=3,
        accepted=2,
        respelled=1,
        image_uses=4,
        rejected=(RejectCount(Reason.NOT_AN_OBJECT, 1, reject),),
        units=(Unit(of.name, "train", 1, 2),),
        parts=(part,),
        rejects=msgspec.structs.replace(part, path=f"rejects/{of.name}.jsonl"),
        statistics=Statistics(turns={2: 2}),
        missing=("gone.jpg", f"{of.name}.jpg"),
    )
    return msgspec.structs.replace(output, **change)


def summed(*outputs: ChunkOutput, split: ShardSplit = SPLIT) -> ShardSummary:
    by_chunk = dict(zip((chunk.name for chunk in CHUNKS), outputs, strict=False))
    # The order in which chunks were written decides nothing.
    return summarise(SHARD, "stem", split, dict(reversed(by_chunk.items())), ["t2", "t1", "t2"])


def test_everything_is_summed_up_in_order() -> None:
    found = summed(*map(output_of, CHUNKS))
    assert (found.records, found.accepted, found.rejected_records) == (9, 6, 3)
    assert (found.respelled, found.image_uses) == (3, 12)
    (rejected,) = found.rejected
    assert (rejected.reason, rejected.count, rejected.first.index) == (Reason.NOT_AN_OBJECT, 3, 0)
    assert [part.path for part in found.parts] == [f"jsonl/é-{at}.jsonl" for at in range(3)]
    assert [part.path for part in found.rejects] == [f"rejects/é-{at}.jsonl" for at in range(3)]
    assert [unit.name for unit in found.units] == ["é-0", "é-1", "é-2"]
    assert found.missing == ("gone.jpg", "é-0.jpg", "é-1.jpg", "é-2.jpg")
    assert found.tables == ("t1", "t2")
    assert found.statistics.turns == {2: 6}
    assert (found.shard, found.stem, found.content) == (SHARD, "stem", (90, "v1"))


def test_a_split_from_before_another_shard_came_holds() -> None:
    earlier = msgspec.structs.replace(SHARD, order=0)
    chunks = tuple(msgspec.structs.replace(chunk, shard=earlier) for chunk in CHUNKS)
    found = summed(*map(output_of, CHUNKS), split=ShardSplit(9, chunks))
    assert (found.accepted, found.order) == (6, 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"accepted": 1}, "3 records in, 1 accepted, 1 rejected"),
        ({"accepted": 3}, "3 records in, 3 accepted, 1 rejected"),
        ({"rejected": ()}, "3 records in, 2 accepted, 0 rejected"),
    ],
)
def test_a_chunk_that_does_not_add_up_is_lost(change: dict[str, Any], told: str) -> None:
    outputs = [output_of(CHUNKS[0]), output_of(CHUNKS[1], **change), output_of(CHUNKS[2])]
    with pytest.raises(LostRecordError, match=f"in/é.json, bytes 30 to 60: {told}"):
        summed(*outputs)


def test_a_chunk_without_output_is_lost() -> None:
    with pytest.raises(LostRecordError, match=r"in/é\.json: the written chunks are not the chunks"):
        summed(output_of(CHUNKS[0]), output_of(CHUNKS[1]))


def test_a_shard_that_does_not_add_up_is_lost() -> None:
    with pytest.raises(LostRecordError, match=r"in/é\.json: 10 records in, 6 accepted, 3 rejected"):
        summed(*map(output_of, CHUNKS), split=ShardSplit(10, CHUNKS))
    whole = summed(*map(output_of, CHUNKS))
    check_records(whole)
    with pytest.raises(LostRecordError, match="9 records in, 5 accepted, 3 rejected"):
        check_records(msgspec.structs.replace(whole, accepted=5))


def test_a_shard_without_records_is_summed_up_too() -> None:
    found = summarise(SHARD, "stem", ShardSplit(0, ()), {}, ())
    assert (found.records, found.accepted, found.rejected, found.parts) == (0, 0, (), ())


def test_counts_of_a_reason_keep_its_first_record() -> None:
    (first,) = output_of(CHUNKS[0]).rejected
    (second,) = output_of(CHUNKS[1]).rejected
    rejected = sum_rejected([first, second, second])
    assert rejected == {Reason.NOT_AN_OBJECT: RejectCount(first.reason, 3, first.first)}


A, B = ImageOutcome("a", file="images/a.1.jpg"), ImageOutcome("b", file="images/b.2.jpg")
GONE = ImageOutcome("b", ImageFault(Reason.IMAGE_MISSING, "it is nowhere"))


def test_order_decides_nothing() -> None:
    assert outcomes_digest([A, B], {3, 1}) == outcomes_digest([B, A], [1, 3])


def test_all_else_does() -> None:
    detail = ImageOutcome("b", ImageFault(Reason.IMAGE_MISSING, "it is elsewhere"))
    other_bytes = ImageOutcome("b", file="images/b.3.jpg")
    tokens = ImageOutcome("b", file="images/b.2.jpg", tokens=(1, 2))
    cases: list[tuple[list[ImageOutcome], list[int]]] = [
        ([A, B], []),
        ([A], []),
        ([A, GONE], []),
        ([A, detail], []),
        ([A, other_bytes], []),
        ([A, tokens], []),
    ]
    digests = {outcomes_digest(*case) for case in [*cases, ([A, B], [1])]}
    assert len(digests) == len(cases) + 1
