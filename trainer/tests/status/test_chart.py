from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mat_trainer.status import chart

points = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.one_of(st.floats(0, 100), st.sampled_from([math.nan, math.inf, -math.inf])),
    ),
    unique_by=lambda point: point[0],
).map(sorted)


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(0, 100), st.booleans())
def test_a_bar_is_as_long_as_asked(fraction: float, width: int, plain: bool) -> None:
    assert len(chart.bar(fraction, width, plain=plain)) == width


@pytest.mark.parametrize(
    ("fraction", "bar"),
    [(0.0, "    "), (1 / 32, "▏   "), (0.5, "██  "), (31 / 32, "███▉"), (1, "████")],
)
def test_a_bar_grows_by_eighths(fraction: float, bar: str) -> None:
    assert chart.bar(fraction, 4) == bar


def test_a_falling_line_falls() -> None:
    falling = [(0.0, 3.0), (1.0, 2.0), (2.0, 1.0), (3.0, 0.0)]
    assert chart.curve(falling, 7, 4, plain=True) == [
        "3 |*",
        "  | *",
        "  |  *",
        "0 |   *",
        "   0  3",
    ]


def test_braille_has_eight_dots_a_character() -> None:
    # From the top left to the bottom right dot of one line of four characters.
    line, _ = chart.curve([(0.0, 1.0), (7.0, 0.0)], 7, 1)
    dots = [ord(character) - 0x2800 for character in line[3:]]
    # Unicode: dots 1 2 3 7 are the left column from the top, bits 0 1 2 6; 4 5 6 8 the right one.
    assert dots == [0x01 | 0x08, 0x02 | 0x10, 0x04 | 0x20, 0x40 | 0x80]


def test_a_jump_leaves_no_gap() -> None:
    lines = chart.curve([(0.0, 0.0), (1.0, 9.0), (2.0, 9.0)], 6, 10, plain=True)
    columns = [line[3:].ljust(3) for line in lines[:10]]
    assert all(row.strip() for row in columns)


@settings(deadline=None)
@given(points, st.integers(0, 120), st.integers(1, 12), st.booleans())
def test_a_curve_fits_whatever_is_drawn(
    drawn: list[tuple[int, float]], width: int, height: int, plain: bool
) -> None:
    lines = chart.curve(drawn, width, height, plain=plain)
    finite = [y for _, y in drawn if math.isfinite(y)]
    assert bool(lines) == (len(finite) > 1)
    if lines:
        assert len(lines) == height + 1
        assert all(len(line) <= max(width, 24) for line in lines)
        assert all(line.isascii() for line in lines) or not plain


def test_an_even_loss_is_an_even_line() -> None:
    lines = chart.curve([(0, 2.0), (5, 2.0)], 20, 3, plain=True)
    assert lines[0] == "2 |" + "*" * 17
