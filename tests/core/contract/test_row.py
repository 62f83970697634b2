"""A row, any value at all: what is wrong with it, and never an exception."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Kind
from beam_mat.core.contract.row import Row, check_row
from tests.rows import COLUMNS, TAGS, seen, text, turns

ENTRY = Entry("d", "rows.jsonl", {**COLUMNS, "tools": "tools", "videos": "videos"}, TAGS)

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=4)
    | st.sampled_from(
        ["user", "assistant", "system", "function_call", "<image>", "[", "\ud800", ""]
    )
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [*COLUMNS, "tools", "videos", "role", "content", "bytes", "path", "id"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)
TURNS = st.lists(st.fixed_dictionaries({"role": LEAVES, "content": LEAVES}), max_size=4)
ROWS = st.fixed_dictionaries(
    {"messages": TURNS | VALUES, "images": VALUES, "system": VALUES}, optional={"tools": VALUES}
)


@given(VALUES | ROWS)
def test_any_value_gives_a_row(value: object) -> None:
    row = check_row(value, ENTRY)
    assert isinstance(row, Row)
    msgspec.json.encode([row.id, row.faults])  # can be written down
    if row.contents and not row.faults:
        assert sum(content.count("<image>") for content in row.contents) == len(row.images)
    if row.dropped:
        assert {fault.kind for fault in row.faults[1:]} <= {Kind.IMAGE_FIELD_INVALID}
        assert row.images == ()


@given(
    st.lists(st.sampled_from(["user", "assistant", "observation", "function_call", "system", "x"]))
)
def test_a_row_is_kept_if_and_only_if_its_roles_alternate(roles: list[str]) -> None:
    messages = [{"role": role, "content": "{}"} for role in roles]
    said = roles[1:] if roles[:1] == ["system"] else roles
    alternate = all(
        role in (("user", "observation"), ("assistant", "function_call"))[at % 2]
        for at, role in enumerate(said)
    )
    row = check_row(text(messages=messages), ENTRY)
    assert row.dropped == (not alternate or len(said) % 2 == 1 or not said)


def kinds(row: dict[str, Any]) -> list[Kind]:
    return [fault.kind for fault in check_row(row, ENTRY).faults]


def test_several_faults_of_a_kept_row_are_all_found() -> None:
    row = seen(messages=turns("<image><image><video>", "x"), system=1, tools="x", images=[{}])
    assert kinds(row) == [
        Kind.SYSTEM_NOT_TEXT,
        Kind.TOOLS_INVALID,
        Kind.IMAGE_STRUCT_INCOMPLETE,
        Kind.IMAGE_COUNT,
        Kind.VIDEO_COUNT,
    ]


def test_words_are_counted_as_llamafactory_counts_them() -> None:
    assert kinds(seen(messages=turns("<image_00> <IMAGE>", "<<image>>"))) == []


@pytest.mark.parametrize("images", [[b"x"], b"x", {"bytes": b"x"}, [{"bytes": b"x", "path": None}]])
def test_bytes_of_an_image_are_found_wherever_they_stand(images: object) -> None:
    assert check_row(seen(images=images), ENTRY).images == (b"x",)


def test_an_absolute_path_in_a_struct_is_a_path() -> None:
    assert check_row(seen(images=[{"bytes": None, "path": "/a.png"}]), ENTRY).images == ("/a.png",)


def test_empty_columns_are_those_that_give_no_type() -> None:
    assert check_row(text(system=None), ENTRY).empty == (
        "system",
        "tools",
        "images",
        "videos",
        "audios",
    )
    first = [{"role": "system", "content": "x"}, *turns("a", "b")]
    assert "system" not in check_row(text(system=None, messages=first), ENTRY).empty
    assert "images" not in check_row(seen(), ENTRY).empty


@pytest.mark.parametrize(
    ("id", "shown"), [(7, "7"), ("a\x1b[2J\ud800", r"a\x1b[2J\ud800"), ([], "")]
)
def test_ids_can_be_printed(id: object, shown: str) -> None:
    assert check_row(text(id=id), ENTRY).id == shown
