"""Image files: any bytes give a size or a fault.

Lengths: never more than the real tokens, and image tokens that are cut for certain.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core import limits
from beam_mat.core.contract.examine import (
    AFTER,
    BEFORE,
    PILLOW_PIXELS,
    least_tokens,
    length,
    look,
    measure,
)
from beam_mat.core.contract.finding import Finding, Kind
from tests.build import canvas, picture, save

PIXELS = 589824
PIECES = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=3), min_size=2, max_size=6)


@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_bytes_give_a_size_or_a_fault(junk: bytes, at: int) -> None:
    data = picture()
    for spoilt in (junk, data[:at] + junk + data[at + len(junk) :]):
        found = look(PIXELS, spoilt)
        assert isinstance(found, Finding) or found[0][0] > 0


def test_a_size_is_width_and_height() -> None:
    assert look(PIXELS, picture((48, 40))) == ((48, 40), ())


def test_postscript_is_not_run() -> None:
    found = look(PIXELS, save(canvas((8, 8)), "EPS"))
    assert isinstance(found, Finding)
    assert found.kind is Kind.IMAGE_UNDECODABLE


def test_a_file_over_the_limit_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beam_mat.core.contract.examine.MAX_IMAGE_BYTES", 10)
    found = look(PIXELS, picture())
    assert isinstance(found, Finding)
    assert found.kind is Kind.IMAGE_HUGE
    assert limits.MAX_IMAGE_PIXELS < PILLOW_PIXELS == 178_956_970


@given(st.text(alphabet="aé\u0301Z09 .,\n'_<>|-", max_size=40))
def test_a_text_has_no_fewer_tokens_than_are_told(text: str) -> None:
    # ASCII words and single digits: what every tokenizer of Qwen keeps apart.
    plain = re.sub(r"<\|\w+\|>|</?\w+>", " a ", text)
    apart = re.findall(r"[A-Za-zé\u0301À-ž]+|[0-9]", plain)
    assert least_tokens(text) <= len(apart) + text.count("\u0301")


def test_marks_are_one_token_each() -> None:
    assert least_tokens("<|im_start|><tool_call></tool_call>") == 3
    assert least_tokens("e\u0301te\u0301") == 1


def test_texts_are_measured_between_images() -> None:
    assert measure("Be brief.", ["one <image>two three<image>", "four"]) == (
        BEFORE + AFTER + 2,
        ((1, 2, 0), (1,)),
    )
    assert measure("", ["<image>"]) == (0, ((0, 0),))


def test_an_image_is_cut_when_its_last_token_lies_beyond_the_cutoff() -> None:
    # Three marks, one word, the mark before the picture, its tokens: 3 + 1 + 1 + 9.
    pieces, images = ((1, 0), (1,)), (11,)
    assert length(0, pieces, images, 14)[1] is None
    assert length(0, pieces, images, 13)[1] == 0


@given(PIECES, st.integers(1, 200), st.integers(0, 40))
def test_the_longer_the_cutoff_the_fewer_are_cut(
    pieces: list[list[int]], cutoff: int, system: int
) -> None:
    pieces = pieces[: len(pieces) // 2 * 2]
    images = [6] * sum(len(turn) - 1 for turn in pieces)
    least, cut = length(system, pieces, images, cutoff)
    assert least == length(system, pieces, images, 10**6)[0]
    if cut is not None:
        assert least > cutoff
        later = length(system, pieces, images, cutoff + 7)[1]
        assert later is None or later >= cut
