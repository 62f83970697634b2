"""Placeholders and the words that LLaMA-Factory would count."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.text import placeholder_number, placeholders, respell, unify

few = settings(max_examples=300, deadline=None)

WORDS = st.lists(
    st.sampled_from(
        "<image> <image_00> <image_1> <image_٣> <image_> <imag <video> <audio> age> < _0 x".split()
    ),
    max_size=10,
).map("".join) | st.text(max_size=20)


@few
@given(WORDS)
def test_each_placeholder_of_a_user_turn_becomes_one_that_is_counted(text: str) -> None:
    output, _ = respell(unify(text), keep_image=True)
    assert output.count("<image>") == len(placeholders(text))
    assert "<video>" not in output
    assert "<audio>" not in output


@few
@given(WORDS)
def test_nothing_is_counted_in_other_turns(text: str) -> None:
    output, count = respell(text)
    assert not any(word in output for word in ("<image>", "<video>", "<audio>"))
    assert count == sum(text.count(word) for word in ("<image>", "<video>", "<audio>"))
    assert (output == text) == (count == 0)


def test_a_numbered_placeholder_in_an_answer_is_a_word_like_any_other() -> None:
    text = "tool(image='<image_00>')"
    assert respell(text) == (text, 0)


@pytest.mark.parametrize(
    ("token", "number"),
    [("<image>", None), ("<image_0>", 0), ("<image_00>", 0), ("<image_12>", 12)],
)
def test_the_number_of_a_placeholder(token: str, number: int | None) -> None:
    assert placeholder_number(token) == number


@pytest.mark.parametrize(
    "token",
    ["", "image", "<image_>", "<image_-1>", "<image_٣>", " <image>", "<image_00>\n", "<IMAGE>"],
)
def test_what_is_no_placeholder(token: str) -> None:
    assert placeholders(token) in ([], [token.strip()])
    with pytest.raises(ValueError, match="is not <image>"):
        placeholder_number(token)
