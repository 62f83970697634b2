"""Entries of dataset_info.json, any value at all, and what lies in a folder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.contract.entry import Entry, check_folder, read_entry
from beam_mat.core.contract.finding import Kind
from tests.rows import COLUMNS, TAGS, entry, without

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["file_name", "columns", "tags", "messages", "formatting", "split", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(VALUES)
def test_any_value_gives_an_entry_or_faults(value: object) -> None:
    read = read_entry("d", value)
    if not isinstance(read, str):
        made, faults = read
        assert (made is None) <= bool(faults)


def test_a_complete_entry_is_read_as_it_stands() -> None:
    assert read_entry("d", entry("rows")) == (Entry("d", "rows", COLUMNS, TAGS), [])


def test_defaults_hold_only_where_nothing_is_given() -> None:
    read = read_entry("d", entry(columns=..., tags=...))
    assert not isinstance(read, str)
    assert read[0] is not None
    assert read[0].columns == {"messages": "conversations"}
    assert (read[0].tags["role_tag"], read[0].tags["user_tag"]) == ("from", "human")
    read = read_entry("d", entry(tags=without(TAGS, "system_tag")))
    assert not isinstance(read, str)
    assert read[0] is not None
    assert "system_tag" not in read[0].tags


@pytest.mark.parametrize(
    "value",
    [
        entry(hf_hub_url="a/b"),
        entry(cloud_file_name="s3://b/a.json"),
        entry(formatting="openai"),
        {"file_name": "a.json"},
    ],
)
def test_what_check_does_not_read_is_told_and_is_no_fault(value: object) -> None:
    assert isinstance(read_entry("d", value), str)


PAIRS = {**COLUMNS, "chosen": "better", "rejected": "worse"}


def test_an_entry_with_two_answers_is_a_ranking() -> None:
    read = read_entry("d", entry(columns=PAIRS, ranking=True))
    assert read == (Entry("d", "rows.jsonl", PAIRS, TAGS, ranking=True), [])
    for columns in (COLUMNS, without(PAIRS, "chosen"), without(PAIRS, "rejected"), ...):
        read = read_entry("d", entry(columns=columns, ranking=True))
        assert not isinstance(read, str)
        assert {fault.kind for fault in read[1]} == {Kind.COLUMN_NOT_LISTED}


def test_an_entry_with_a_label_is_for_kto_unless_it_is_a_ranking() -> None:
    columns = {**PAIRS, "kto_tag": "good"}
    for ranking in (False, True):
        read = read_entry("d", entry(columns=columns, ranking=ranking))
        assert not isinstance(read, str)
        assert read[0] is not None
        assert read[0].is_kto != ranking
    # Without ranking, LLaMA-Factory does not look for the columns of two answers.
    assert read_entry("d", entry(columns=PAIRS)) == (Entry("d", "rows.jsonl", COLUMNS, TAGS), [])


def test_every_fault_of_an_entry_is_found() -> None:
    read = read_entry("d", {"columns": {"images": "i"}, "tags": {}, "formatting": "x", "split": 1})
    assert not isinstance(read, str)
    kinds = [fault.kind for fault in read[1]]
    assert kinds.count(Kind.TAG_NOT_LISTED) == 4
    assert {
        Kind.FORMATTING_NOT_SHAREGPT,
        Kind.COLUMN_NOT_LISTED,
        Kind.SPLIT_UNKNOWN,
        Kind.FILE_NOT_FOUND,
    } < set(kinds)


def test_a_folder_of_one_type_is_fine_whatever_else_it_is_called() -> None:
    assert check_folder([("a.json", False), (".b.jsonl", False), ("c d.json", False)]) == []


def test_of_two_types_neither_is_the_right_one() -> None:
    details = [found.detail for found in check_folder([("a.json", False), ("b.parquet", False)])]
    assert details == [
        "a.json has another type than other files",
        "b.parquet has another type than other files",
    ]


def test_what_a_system_left_behind_is_named() -> None:
    names = [(".DS_Store", False), ("._a.json", False), ("__MACOSX", True), ("a.json", False)]
    found = check_folder(names)
    assert [one.detail.split(" ")[0] for one in found] == [".DS_Store", "._a.json", "__MACOSX"]
    assert all("was left by a system such as macOS; remove it" in one.detail for one in found)
