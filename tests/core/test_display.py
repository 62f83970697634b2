"""Whatever a record holds, a terminal is shown it and told nothing."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.display import one_line, visible


@given(st.text(st.characters()))
def test_no_letter_that_a_terminal_acts_upon_is_left(text: str) -> None:
    kinds = {unicodedata.category(letter) for letter in visible(text) if letter not in "\n\t"}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    assert set(visible(text)).isdisjoint("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\x1b\x9b")
    assert "\n" not in one_line(text)


@given(st.text(st.characters(categories=("L", "N", "P", "S", "M", "Zs"))))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
