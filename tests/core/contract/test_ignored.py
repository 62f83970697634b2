"""Values that matter for training and that LLaMA-Factory does not read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beam_mat.core.contract.entry import COLUMNS as NAMES
from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Kind
from beam_mat.core.contract.ignored import NAMES as USUAL
from beam_mat.core.contract.row import check_row
from beam_mat.core.schemas.draft import LOSS_KEYS, TURN_KEYS
from tests.rows import COLUMNS, IMAGE, TAGS, seen, text, turns, without

ENTRY = Entry("d", "rows.jsonl", {"messages": "messages"}, TAGS)


def kinds(row: dict[str, Any], entry: Entry = ENTRY) -> list[Kind]:
    return [fault.kind for fault in check_row(row, entry).faults]


def test_every_column_that_llamafactory_reads_has_usual_names() -> None:
    assert USUAL.keys() | {"messages"} == set(NAMES)


@pytest.mark.parametrize("key", [key for keys in USUAL.values() for key in keys])
def test_a_column_that_is_not_listed_is_found(key: str) -> None:
    row = {"messages": turns("a", "b")}
    assert kinds(row) == []
    nothing: tuple[Any, ...] = (None, "", [], "[]")
    for empty in nothing:
        assert kinds({**row, key: empty}) == []
    for value in ("x", ["x"], False, 7):
        assert kinds({**row, key: value}) == [Kind.COLUMN_IGNORED]
    # It may be listed under another name.
    (name,) = (name for name, keys in USUAL.items() if key in keys)
    listed = msgspec.structs.replace(ENTRY, columns={"messages": "messages", "images": key})
    assert Kind.COLUMN_IGNORED not in kinds({**row, key: [IMAGE]}, listed)
    assert name in NAMES


def test_a_count_that_differs_is_told_once() -> None:
    entry = msgspec.structs.replace(ENTRY, columns=without(COLUMNS, "images"))
    assert kinds(seen(), entry) == [Kind.IMAGE_COUNT]


def test_a_system_turn_beats_the_column() -> None:
    entry = msgspec.structs.replace(ENTRY, columns=COLUMNS)
    for said, column, found in (
        ("x", "y", [Kind.SYSTEM_IGNORED]),
        ("x", "x", []),
        ("x", "", []),
        ("x", None, []),
        (None, "y", [Kind.SYSTEM_IGNORED]),
    ):
        messages = [{"role": "system", "content": said}, *turns("a", "b")]
        assert kinds(text(messages=messages, system=column), entry) == found
    # The same in a column that is not listed.
    messages = [{"role": "system", "content": "x"}, *turns("a", "b")]
    for column, found in (("y", [Kind.COLUMN_IGNORED]), ("x", [])):
        assert kinds({"messages": messages, "system": column}) == found


@pytest.mark.parametrize("key", sorted(TURN_KEYS))
def test_a_key_of_a_turn_is_found(key: str) -> None:
    for at in range(2):
        messages = turns("a", "b")
        messages[at][key] = []
        assert kinds({"messages": messages}) == []
        messages[at][key] = ["x"]
        assert kinds({"messages": messages}) == [Kind.TURN_KEY_IGNORED]


@pytest.mark.parametrize("key", LOSS_KEYS)
def test_a_turn_that_shall_not_count_is_found(key: str) -> None:
    for value, found in ((None, False), (1, False), (True, False), (0, True), (False, True)):
        messages = turns("a", "b")
        messages[1][key] = value
        assert kinds({"messages": messages}) == [Kind.TURN_KEY_IGNORED] * found


def test_keys_of_answers_and_of_a_system_turn_are_found() -> None:
    columns = {name: name for name in ("messages", "chosen", "rejected")}
    entry = msgspec.structs.replace(ENTRY, columns=columns, ranking=True)
    good = {"role": "assistant", "content": "a"}
    calling = {"role": "assistant", "content": "b", "tool_calls": [1]}
    row = {"messages": turns("?"), "chosen": good, "rejected": calling}
    assert kinds(row, entry) == [Kind.TURN_KEY_IGNORED]
    messages = [{"role": "system", "content": "x", "images": [IMAGE]}, *turns("a", "b")]
    assert kinds({"messages": messages}) == [Kind.TURN_KEY_IGNORED]
