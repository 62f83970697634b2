"""The member that a missing image could be."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.nearest import Near, common, keys, nearest, pair, plain

ZIP = "/in/files.zip"

PARTS = st.lists(st.sampled_from(["a", "A", "b", "\u00e9", "e\u0301"]), min_size=1, max_size=5)
NAMES = st.sampled_from(["1.jpg", "1.JPG", "1.png", "2", "\u00c9.jpg"])
PATHS = st.builds(lambda parts, name: "/".join([*parts[1:], name]), PARTS, NAMES)


def near(path: str, order: int = 0, **more: bool) -> Near:
    return Near(order, path, ZIP, **more)


def found(path: str, *members: str) -> str | None:
    one = nearest(path, map(near, members))
    return one.path if one else None


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("gqa/1.jpg", "data/gqa/1.jpg"),
        ("data/gqa/1.jpg", "gqa/1.jpg"),
        ("a/b/c/1.jpg", "1.jpg"),
        ("1.jpg", "a/b/c/1.jpg"),
        ("data/coco/1.jpg", "files/coco/1.jpg"),
        ("a/1.jpg", "A/1.JPG"),
        ("a/1.jpg", "a/1.jpeg"),
        ("a/1", "a/1.png"),
        ("a/\u00e9.jpg", "a/e\u0301.jpg"),
        ("a/stra\u00dfe.jpg", "a/STRASSE.jpg"),
    ],
)
def test_these_are_near(path: str, member: str) -> None:
    assert found(path, "x/y.jpg", member) == member
    assert set(keys(path)) & set(keys(member))


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("vg/1.jpg", "gqa/1.jpg"),
        ("a/1.jpg", "a/2.jpg"),
        ("a/v1.5", "a/v1.6"),
        ("a/1.jpg", "a1.jpg"),
    ],
)
def test_these_are_not_near(path: str, member: str) -> None:
    assert found(path, member) is None


def test_the_member_that_differs_least_is_the_nearest() -> None:
    order = ["A/1.jpg", "a/1.png", "A/1.png", "d/a/1.jpg", "d/a/1.png", "e/d/a/1.jpg"]
    for number, expected in enumerate(order):
        assert found("a/1.jpg", *reversed(order[number:])) == expected


def test_of_equals_the_first_source_is_named_and_that_it_is_one_of_several() -> None:
    one = nearest("1.jpg", [near("b/1.jpg", 1), near("c/1.jpg", 0), near("a/1.jpg", 1)])
    assert one == near("c/1.jpg", 0, is_one_of=True)
    same = nearest("a/1.jpg", [near("A/1.jpg", 1), near("A/1.jpg", 0)])
    assert same == near("A/1.jpg", 0), "the first source has it"


def test_an_archive_in_a_folder_comes_after_a_member() -> None:
    inside, other = near("a/1.jpg", inside=True), near("d/a/1.jpg")
    assert nearest("a/1.jpg", [inside, other]) == inside
    assert nearest("a/1.jpg", [near("d/a/1.jpg", inside=True), other]) == other


def test_a_key_that_a_source_has_too_often_pairs_nothing() -> None:
    assert list(pair(["1.jpg"], [near("a/1.jpg"), near("")])) == []
    assert list(pair(["1.jpg"], [near("a/1.jpg")])) == [("1.jpg", near("a/1.jpg"))]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=30), st.text())
def test_any_text_has_keys(parts: list[str], more: str) -> None:
    path = "/".join(parts)
    made = keys(path)
    assert 1 <= len(made) <= 12
    assert made[-1] == keys(path.split("/")[-1])[-1]
    if path.count("/") < 10:
        assert keys(f"x/{path}")[1:] == made
    nearest(path, [near(more)])


@given(PATHS, PATHS)
def test_near_paths_share_a_key(path: str, member: str) -> None:
    if nearest(path, [near(member)]):
        assert set(keys(path)) & set(keys(member))


@given(PATHS)
def test_case_and_form_do_not_matter(path: str) -> None:
    other = unicodedata.normalize("NFD", path.upper())
    if plain(path) == plain(other):
        assert keys(path) == keys(other)


def test_the_common_end() -> None:
    assert common(["a"], ["a"]) == 1
    assert common(["a", "b"], ["b", "a"]) == 0
