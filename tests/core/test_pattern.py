"""Patterns never match hidden files, and the folders that they reach are known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.pattern import fits, hides, is_hidden, reaches

NAMES = st.sampled_from(["a", "b.json", "._a", ".x", "__MACOSX", "out"])
SEGMENTS = st.sampled_from(["a", "b.json", "*", "**", "*.json", "out", ".x", "?ut"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(PATHS, st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join))
def test_what_a_wildcard_matches_is_not_hidden(path: str, pattern: str) -> None:
    if not fits(path, pattern):
        return
    assert not hides(path, pattern)
    named = pattern.split("/")
    assert all(not is_hidden(name) or name in named for name in path.split("/"))


@given(PATHS, st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join))
def test_a_pattern_reaches_the_folders_of_what_it_matches(path: str, pattern: str) -> None:
    folder, _, name = path.rpartition("/")
    if folder and fits(path, pattern) and any(one in pattern for one in "*?"):
        assert reaches(pattern, folder)
        assert not is_hidden(name) or name in pattern


def test_a_pattern_of_hidden_files_matches_them() -> None:
    assert fits("/in/._a.json", "/in/._*.json")
    assert not hides("/in/._a.json", "/in/._*.json")
    assert fits("/home/.data/a.json", "/home/.data/*.json")
    assert not hides("/home/.data/a.json", "/home/.data/*.json")
