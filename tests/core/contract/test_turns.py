"""Rows with two answers or a label: what LLaMA-Factory drops, and what stops it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Kind
from beam_mat.core.contract.row import Row, check_row
from tests.core.contract.test_row import LEAVES, ROWS, TURNS, VALUES
from tests.rows import COLUMNS, IMAGE, TAGS, seen, text, turns, without

PAIRS = Entry(
    "d", "a.jsonl", {**COLUMNS, "chosen": "chosen", "rejected": "rejected"}, TAGS, ranking=True
)
LABELS = Entry("d", "a.jsonl", {**COLUMNS, "kto_tag": "kto_tag"}, TAGS)
ANSWERS = st.fixed_dictionaries({"role": LEAVES, "content": LEAVES})


def answer(content: object, role: object = "assistant") -> dict[str, object]:
    return {"role": role, "content": content}


def pair(**changes: Any) -> dict[str, Any]:
    answers = {"chosen": answer("a"), "rejected": answer("b")}
    return text(**{"messages": turns("Why?"), **answers, **changes})


def kinds(row: object, entry: Entry) -> list[Kind]:
    return [fault.kind for fault in check_row(row, entry).faults]


@given(
    st.fixed_dictionaries(
        {
            "messages": TURNS,
            "chosen": ANSWERS | VALUES,
            "rejected": ANSWERS | VALUES,
            "kto_tag": LEAVES,
            "images": VALUES,
        }
    )
    | ROWS
)
def test_any_value_gives_a_row(value: object) -> None:
    both = msgspec.structs.replace(PAIRS, columns={**PAIRS.columns, "kto_tag": "kto_tag"})
    for entry in (PAIRS, both, LABELS):
        row = check_row(value, entry)
        assert isinstance(row, Row)
        msgspec.json.encode([row.id, row.faults])
        assert len(row.contents) % 2 == 0
        if row.dropped:
            assert (row.images, row.label) == ((), None)


@pytest.mark.parametrize("count", range(6))
def test_a_pair_is_kept_if_the_turns_before_it_are_odd(count: int) -> None:
    row = check_row(pair(messages=turns(*["x"] * count)), PAIRS)
    assert row.dropped == (count % 2 == 0)


def test_the_longer_answer_counts() -> None:
    row = check_row(pair(rejected=answer("a longer one")), PAIRS)
    assert row.contents == ("Why?", "a longer one")


@pytest.mark.parametrize(
    ("role", "kind"),
    [
        ("user", Kind.ANSWER_ROLE),
        ("observation", Kind.ANSWER_ROLE),
        ("system", Kind.ANSWER_ROLE_UNKNOWN),
        ("gpt", Kind.ANSWER_ROLE_UNKNOWN),
        (None, Kind.ANSWER_ROLE_UNKNOWN),
        (["user"], Kind.ANSWER_ROLE_UNKNOWN),
    ],
)
def test_answers_need_the_role_of_an_answer(role: object, kind: Kind) -> None:
    assert kinds(pair(chosen=answer("x", role)), PAIRS) == [kind]


def test_an_answer_without_a_role_matches_a_tag_that_is_not_listed() -> None:
    row = pair(chosen={"content": "{}"})
    for tag, found in (
        ("observation_tag", [Kind.ANSWER_ROLE]),
        ("function_tag", [Kind.FUNCTION_CALL_INVALID]),
        ("system_tag", [Kind.ANSWER_ROLE_UNKNOWN]),
    ):
        assert kinds(row, msgspec.structs.replace(PAIRS, tags=without(TAGS, tag))) == found


def test_placeholders_are_counted_with_each_answer() -> None:
    assert kinds(pair(messages=turns("<image>"), images=[IMAGE]), PAIRS) == []
    one, other = answer("<image>"), answer("<image> x")
    assert kinds(pair(chosen=one, rejected=other, images=[IMAGE]), PAIRS) == []
    for name in ("chosen", "rejected"):
        assert kinds(pair(**{name: one}, images=[IMAGE]), PAIRS) == [Kind.IMAGE_COUNT]


@pytest.mark.parametrize("label", [None, "true", 1, 0, 1.0, [], {}])
def test_a_label_is_true_or_false(label: object) -> None:
    assert kinds(text(kto_tag=label), LABELS) == [Kind.LABEL_INVALID]
    row = text(kto_tag=label, messages=turns("a", ""))
    assert kinds(row, LABELS) == [Kind.LABEL_INVALID, Kind.DROPPED_IN_KTO]


def test_an_empty_answer_is_not_wanted() -> None:
    for label, content, counts_as in (
        (True, "a", True),
        (False, "a", False),
        (False, "", False),
        (True, "", False),
    ):
        row = check_row(text(kto_tag=label, messages=turns("?", content)), LABELS)
        assert row.label is counts_as
        assert [fault.kind for fault in row.faults] == [Kind.ANSWER_EMPTY] * (label and not content)


def test_a_row_that_kto_drops_stops_the_job() -> None:
    for messages in ([], turns("a"), [answer("x")]):
        found = kinds(text(kto_tag=True, messages=messages), LABELS)
        assert found[1:] == [Kind.DROPPED_IN_KTO]


def test_kto_replaces_the_answer() -> None:
    assert kinds(seen(kto_tag=True), LABELS) == []
    row = seen(kto_tag=True, messages=turns("What?", "<image>"))
    assert kinds(row, LABELS) == [Kind.IMAGE_COUNT]
