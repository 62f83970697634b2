"""One object that holds the records: its list is found, wherever the bytes are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.wrapper import Listed, Outline, choose, outline
from tests.build import blocks
from tests.core.test_scan import SIZES, SOUP, TEXTS, VALUES
from tests.properties import examples

few = settings(max_examples=examples(200))


@few
@given(
    st.dictionaries(TEXTS, VALUES, max_size=5),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    SIZES,
)
def test_every_list_at_the_top_level_is_found_where_it_is(
    value: dict[str, Any], indent: int | None, ascii: bool, sizes: list[int]
) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii).encode()
    found = outline(blocks(data, sizes), 0)
    assert (found.end, found.trailing) == (len(data), None)
    assert list(found.keys) == list(value)
    lists = {key: one for key, one in value.items() if isinstance(one, list)}
    assert [one.key for one in found.lists] == list(lists)
    for one in found.lists:
        assert json.loads(b"[" + data[one.start : one.end]) == lists[one.key]
        first = lists[one.key][:1]
        assert one.empty == (first == [])
        assert one.records == (first != [] and isinstance(first[0], dict))


@few
@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.data())
def test_an_object_that_ends_early_has_no_end(value: dict[str, Any], data: st.DataObject) -> None:
    whole = json.dumps(value).encode()
    seen = outline([whole], 0)
    stop = data.draw(st.integers(1, len(whole) - 1))
    found = outline([whole[:stop]], 0)
    assert (found.end, found.trailing) == (None, None)
    assert len(found.lists) <= len(seen.lists)
    for one, complete in zip(found.lists, seen.lists, strict=False):
        assert one.start == complete.start
        assert one.end == (complete.end if complete.end and complete.end <= stop else None)


@settings(max_examples=examples(400))
@given(SOUP, SIZES)
def test_any_bytes_give_an_outline(data: bytes, sizes: list[int]) -> None:
    data = b"{" + data
    found = outline(blocks(data, sizes), 0)
    assert found == outline([data], 0), "the result depends on where blocks are cut"
    for one in found.lists:
        assert 0 < one.start <= (one.end or len(data)) <= len(data)
    assert found.end is None or found.end <= len(data)


def test_an_object_of_a_million_keys_is_read_once_and_forgotten() -> None:
    data = b"{" + b",".join(b'"%d":[{}]' % at for at in range(300_000)) + b"}"
    found = outline([data], 0)
    assert found.end == len(data)
    assert len(found.keys) == len(found.lists) == 64


def listed(key: str, *, records: bool = True, empty: bool = False) -> Listed:
    return Listed(key, 1, 2, records, empty)


def of(*lists: Listed, keys: tuple[str, ...] = ()) -> Outline:
    return Outline((*keys, *(one.key for one in lists)), lists, 9, None)


def test_the_only_list_of_objects_is_chosen() -> None:
    data = listed("data")
    names = listed("names", records=False)
    assert choose(of(names, data, keys=("version",)), "") == data
    assert choose(of(names, data, listed("old", records=False, empty=True)), "") == data
    assert choose(of(listed("data", records=False, empty=True)), "") is not None


def test_of_several_lists_one_has_to_be_named() -> None:
    found = of(listed("data"), listed("extra\n"))
    why = choose(found, "")
    assert isinstance(why, str)
    assert "several of its keys hold a list of objects: data, extra\\n; " in why
    assert "--records data" in why
    assert choose(found, "data") == found.lists[0]
    why = choose(found, "rows")
    assert isinstance(why, str)
    assert "'rows' holds no list; these keys do: data, extra" in why


@pytest.mark.parametrize("key", ["conversations", "messages"])
def test_an_object_with_turns_is_a_record(key: str) -> None:
    found = of(listed(key), listed("objects"))
    assert choose(found, "") is None
    assert choose(found, "other") is None
    assert choose(found, key) == found.lists[0], "unless the user says so"


def test_an_object_without_a_list_says_so() -> None:
    why = choose(of(listed("names", records=False), keys=("a", "b")), "")
    assert isinstance(why, str)
    assert "none of its keys holds a list of objects (a, b, names)" in why
