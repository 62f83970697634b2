"""Image files: any bytes give a size or a fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core import limits
from beam_mat.core.contract.examine import PILLOW_PIXELS, look
from beam_mat.core.contract.finding import Finding, Kind
from tests.build import canvas, picture, save

PIXELS = 589824


@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_bytes_give_a_size_or_a_fault(junk: bytes, at: int) -> None:
    data = picture()
    for spoilt in (junk, data[:at] + junk + data[at + len(junk) :]):
        found = look(spoilt, PIXELS)
        assert isinstance(found, Finding) or found[0] > 0


def test_a_size_is_width_and_height() -> None:
    assert look(picture((48, 40)), PIXELS) == (48, 40)


def test_postscript_is_not_run() -> None:
    found = look(save(canvas((8, 8)), "EPS"), PIXELS)
    assert isinstance(found, Finding)
    assert found.kind is Kind.IMAGE_UNDECODABLE


def test_a_file_over_the_limit_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beam_mat.core.contract.examine.MAX_IMAGE_BYTES", 10)
    found = look(picture(), PIXELS)
    assert isinstance(found, Finding)
    assert found.kind is Kind.IMAGE_HUGE
    assert limits.MAX_IMAGE_PIXELS < PILLOW_PIXELS == 178_956_970
