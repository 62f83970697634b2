from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mat_trainer.core.lengths import (
    DEFAULT_CUTOFF,
    UNKNOWN,
    Lengths,
    PartLengths,
    cutoff,
    over,
    row_faults,
)

LENGTHS = Lengths(
    {
        "jsonl/a.jsonl": PartLengths([10, 11, 12, UNKNOWN], [1, 0, 2, 1]),
        "jsonl/b.jsonl": PartLengths([3, 11], [0, 1]),
    },
    ("jsonl/a.jsonl, row 3: broken",),
    1,
)


def test_rows_over_the_cutoff_are_told_apart() -> None:
    found = over(LENGTHS, 10)
    assert found.long == {"jsonl/a.jsonl": {1, 2}, "jsonl/b.jsonl": {1}}
    assert (found.count(), found.with_images, found.rows, found.longest) == (3, 2, 6, 12)


def test_a_row_as_long_as_the_cutoff_fits() -> None:
    assert over(LENGTHS, 12).count() == 0


def cut(before: int, answer: int, cutoff: int) -> tuple[int, int]:
    """As infer_seqlen of llamafactory.data.processor.processor_utils: what is kept of each."""
    if answer * 2 < cutoff:
        most = cutoff
    elif before * 2 < cutoff:
        most = cutoff - before
    else:
        most = int(cutoff * (answer / (before + answer)))
    kept = min(most, answer)
    return min(max(cutoff - kept, 0), before), kept


LABELLED = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=8)


@given(LABELLED, st.integers(1, 130))
def test_with_the_answer_of_any_other_row_the_text_before_a_labelled_one_is_whole(
    rows: list[tuple[int, int]], limit: int
) -> None:
    tokens = [before + answer for before, answer in rows]
    answers = [answer for _, answer in rows]
    lengths = Lengths({"a": PartLengths(tokens, [1] * len(rows), answers)})
    found = over(lengths, limit)
    kept = [row for at, row in enumerate(rows) if at not in found.long.get("a", ())]
    for before, answer in kept:
        assert cut(before, answer, limit) == (before, answer)
        assert all(cut(before, other, limit)[0] == before for _, other in kept)
    assert over(lengths, found.longest).count() == 0


def test_what_was_measured_survives_a_file() -> None:
    assert msgspec.json.decode(msgspec.json.encode(LENGTHS), type=Lengths) == LENGTHS


@pytest.mark.parametrize(
    ("settings", "length"),
    [
        ({}, DEFAULT_CUTOFF),
        ({"cutoff_len": 10240}, 10240),
        ({"cutoff_len": 10240, "packing": False}, 10240),
        ({"cutoff_len": 10240, "neat_packing": True}, 10239),
    ],
)
def test_the_cutoff_is_what_llama_factory_makes_of_the_settings(
    settings: dict[str, Any], length: int
) -> None:
    assert cutoff(settings) == length


def test_rows_that_fail_alike_are_one_sentence() -> None:
    faults = tuple(f"jsonl/a.jsonl, row {row}: bad; leave the record out" for row in range(20))
    (said,) = row_faults(Lengths({}, faults, 37), "llava")
    assert said.startswith("37 rows fail, the first 20 of them alike: jsonl/a.jsonl, row 0: bad")
    assert "template llava" in said
    assert row_faults(Lengths({}, faults[:1], 1), "t") == [faults[0]]
    other = "jsonl/a.jsonl, row 21: worse; leave the record out"
    assert row_faults(Lengths({}, (*faults[:2], other), 5), "t") == [
        "bad (2 rows, the first is jsonl/a.jsonl, row 0); leave the records out",
        other,
        "and 2 more rows with faults like these",
    ]
