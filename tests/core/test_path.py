"""Paths: rewritten by prefix, refused when they could lead anywhere but below the output."""

from __future__ import annotations

import os

import pytest
from fsspec.core import url_to_fs
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.limits import MAX_PATH_BYTES
from beam_mat.core.path import rewrite, unsafe

PARTS = st.lists(
    st.sampled_from(
        ["a", "..", ".", "", "C:", "~", "b c", "é", "x::y", "\\", "\n", "\0", "*", "%2e"]
    )
    | st.text(max_size=5),
    max_size=5,
).map("/".join)


@settings(max_examples=500, deadline=None)
@given(PARTS)
def test_a_safe_path_stays_below_the_folder_and_names_one_place(path: str) -> None:
    if unsafe(path):
        return
    assert os.path.normpath(f"/out/{path}") == f"/out/{path}"
    assert url_to_fs(f"/out/{path}")[1] == f"/out/{path}"
    assert url_to_fs(f"memory://out/{path}")[1] == f"/out/{path}"
    path.encode()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "empty"),
        ("/etc/passwd", "leading /"),
        ("a//b", "''"),
        ("a/", "''"),
        ("./a", "'.'"),
        ("a/../b", "'..'"),
        ("..", "'..'"),
        ("a\\b", "backslash"),
        ("C:/a", "drive"),
        ("gs://bucket/a", "scheme"),
        ("a/b::c", "chain"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a/\ud800", "surrogate"),
        ("/".join(["é" * 100] * 21), "4096 bytes"),
    ],
)
def test_what_is_unsafe_says_why(path: str, words: str) -> None:
    found = unsafe(path)
    assert found is not None
    assert words in found
    assert len(found) < 400
    found.encode()


@pytest.mark.parametrize(
    "path", ["a", "tongagent/coco/1.jpg", "a b/ü.png", "..a/b..", "a/b:c", "~/a"]
)
def test_what_is_safe(path: str) -> None:
    assert unsafe(path) is None


def test_the_longest_path_that_is_allowed() -> None:
    names = ["a" * 1000] * 3 + ["b" * (MAX_PATH_BYTES - 3 * 1001)]
    assert unsafe("/".join(names)) is None
    assert unsafe("/".join(names) + "b")


def test_a_long_component_is_allowed() -> None:
    assert unsafe("é" * 2000) is None, "the name of its file is shortened: core.image_name"


def test_the_first_prefix_that_fits_is_replaced_once() -> None:
    prefixes = (("data/", "x/"), ("data/data/", "y/"), ("x/", "z/"))
    assert rewrite("data/data/1.jpg", prefixes) == "x/data/1.jpg"
    assert rewrite("other/data/1.jpg", prefixes) == "other/data/1.jpg"
    assert rewrite("a", ()) == "a"
