"""Chunks: every record in one, their bounds a function of the shard alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.chunk import (
    MAX_CHUNK_RECORDS,
    MAX_CHUNKS,
    MIN_CHUNK_BYTES,
    Chunk,
    Shard,
    cut,
)
from beam_mat.core.limits import MAX_RECORD_BYTES
from beam_mat.core.reject import Reason
from beam_mat.core.scan import Break, Layout, Span
from tests.build import shard
from tests.properties import examples

few = settings(max_examples=examples(150))

LENGTHS = st.lists(
    st.tuples(st.integers(1, 50), st.sampled_from([100, 1 << 20, 3 << 20, MAX_RECORD_BYTES + 1])),
    max_size=20,
)


def spans(lengths: list[tuple[int, int]]) -> list[Span]:
    """Records of these lengths, each after a gap."""
    found, at = [], 1
    for gap, length in lengths:
        found.append(Span(at + gap, at + gap + length))
        at += gap + length
    return found


def chunks(found: list[Span | Break], whole: Shard, digest: str = "") -> list[Chunk]:
    return list(cut(whole, Layout.ARRAY, found, digest))


def size_of(found: list[Span]) -> int:
    return found[-1].end + 1 if found else 2


@few
@given(LENGTHS, st.booleans())
def test_chunks_hold_every_record_once_and_in_order(
    lengths: list[tuple[int, int]], broken: bool
) -> None:
    records = spans(lengths)
    size = size_of(records) + 100
    found: list[Span | Break] = [*records]
    if broken:
        found.append(Break(size - 50, "cut off"))
    made = chunks(found, shard(size))
    index = 0
    for chunk in made:
        assert chunk.first == index
        held = found[index : index + chunk.count]
        assert chunk.start == held[0].start
        last = held[-1]
        assert chunk.end == (last.end if isinstance(last, Span) else size)
        large = isinstance(last, Span) and last.end - last.start > MAX_RECORD_BYTES
        if isinstance(last, Break) or large:
            reason = Reason.RECORD_TOO_LARGE if large else Reason.SHARD_BREAKS_OFF
            assert (chunk.count, chunk.fault) == (1, reason)
            assert chunk.detail
        else:
            assert chunk.fault is None
        index += chunk.count
    assert index == len(found)
    names = [chunk.name for chunk in made]
    assert names == sorted(set(names))


@few
@given(LENGTHS)
def test_a_chunk_closes_at_the_goal_and_not_before(lengths: list[tuple[int, int]]) -> None:
    records = spans(lengths)
    made = chunks([*records], shard(size_of(records)))
    for chunk, following in itertools.pairwise(made):
        if chunk.fault or following.fault:
            continue
        assert chunk.end - chunk.start >= MIN_CHUNK_BYTES
        before = records[chunk.first + chunk.count - 1].start
        assert before - chunk.start < MIN_CHUNK_BYTES + 50


@few
@given(LENGTHS, st.integers(1, 10))
def test_a_limit_takes_the_first_records(lengths: list[tuple[int, int]], limit: int) -> None:
    records = spans(lengths)
    made = chunks([*records], shard(size_of(records), limit=limit))
    assert sum(chunk.count for chunk in made) == min(limit, len(records))
    if made:
        assert made[-1].end == records[min(limit, len(records)) - 1].end


def test_bounds_are_a_function_of_the_shard_alone() -> None:
    records: list[Span | Break] = [*spans([(3, 1 << 20)] * 20)]

    def bounds(whole: Shard, digest: str) -> list[tuple[int, int]]:
        return [(chunk.start, chunk.end) for chunk in chunks(records, whole, digest)]

    expected = bounds(shard(21 << 20), "")
    assert len(expected) > 3
    other = shard(21 << 20, uri="gs://b/x.json", order=7, version="other")
    assert bounds(other, "digest") == expected


def test_a_huge_shard_gives_about_a_thousand_chunks() -> None:
    size = 40 << 30
    records = (Span(at, at + (4 << 20)) for at in range(1, size - (4 << 20), (4 << 20) + 1))
    assert MAX_CHUNKS * 0.9 < sum(1 for _ in cut(shard(size), Layout.ARRAY, records, "")) <= 1000


@pytest.mark.parametrize(
    "changes",
    [{"uri": "/data/b/mat.json"}, {"size": 1001}, {"version": "2"}, {"limit": 3}, {"digest": "b"}],
)
def test_a_name_never_stands_for_two_contents(changes: dict[str, Any]) -> None:
    fields = {key: value for key, value in changes.items() if key != "digest"}
    assert shard(**fields).stem(changes.get("digest", "a")) != shard().stem("a")


def test_a_name_is_readable_and_does_not_depend_on_other_shards() -> None:
    assert shard().stem("").startswith("mat-")
    assert shard(order=5).stem("") == shard().stem("")
    odd = shard(uri="/data/Ünï cödé/日本.json").stem("")
    assert odd.isascii()
    assert odd.replace("-", "").isalnum()
    assert shard(uri="/data/mat_train.json").stem("").startswith("mat_trainset-")


def test_a_break_at_the_very_end_is_one_reject_of_no_bytes() -> None:
    (chunk,) = chunks([Break(0, "the stream ends early")], shard(0))
    assert (chunk.start, chunk.end, chunk.count) == (0, 0, 1)
    assert chunk.fault is Reason.SHARD_BREAKS_OFF


def test_the_size_of_chunks_is_that_of_the_text() -> None:
    records: list[Span | Break] = [*spans([(3, 1 << 20)] * 20)]
    packed = cut(shard(99), Layout.ARRAY, [*records, Break(20 << 20, "x")], "", size=21 << 20)
    whole = cut(shard(21 << 20), Layout.ARRAY, [*records, Break(20 << 20, "x")], "")
    places = [[(one.start, one.end) for one in some] for some in (packed, whole)]
    assert places[0] == places[1]
    assert places[0][-1] == (20 << 20, 21 << 20)


def test_very_many_very_small_records_are_several_chunks() -> None:
    count = MAX_CHUNK_RECORDS * 2 + 1
    made = chunks([Span(at * 3 + 1, at * 3 + 3) for at in range(count)], shard(count * 3))
    assert [chunk.count for chunk in made] == [MAX_CHUNK_RECORDS, MAX_CHUNK_RECORDS, 1]
