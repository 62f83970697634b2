"""Bars of a histogram, and bands of the flow chart."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.statistics import bucket
from beam_mat.report.charts import (
    HEIGHT,
    MAX_BARS,
    MAX_LABELS,
    MAX_UNITS,
    ROW,
    THICKNESS,
    WIDTH,
    at_least,
    chart,
    flow,
)

histograms = st.dictionaries(st.integers(0, 1 << 30).map(bucket), st.integers(1, 10**6), min_size=1)


@given(histograms)
def test_bars_hold_every_value_and_stand_side_by_side(histogram: dict[int, int]) -> None:
    drawn = chart(histogram)
    assert drawn
    assert sum(bar.values for bar in drawn.bars) == sum(histogram.values())
    assert len(drawn.bars) <= MAX_BARS * 2
    assert len(drawn.ticks) <= MAX_LABELS
    for one, other in zip(drawn.bars, drawn.bars[1:], strict=False):
        assert one.x < other.x
        assert one.most < other.least
    for bar in drawn.bars:
        assert 0 <= bar.x <= WIDTH
        assert 0 < bar.height <= HEIGHT
        inside = [value for value in histogram if bar.least <= value <= bar.most]
        assert sum(histogram[value] for value in inside) == bar.values


def test_values_that_are_to_be_on_the_axis_are() -> None:
    drawn = chart({300: 5}, (2048, 32768))
    assert drawn
    assert drawn.x(300) == 0 < drawn.x(2048) < drawn.x(32768) <= WIDTH


def test_small_numbers_have_a_bar_each_with_its_number_below() -> None:
    drawn = chart({2: 3, 4: 9, 6: 1})
    assert drawn
    assert [(bar.least, bar.most, bar.values) for bar in drawn.bars] == [
        (2, 2, 3),
        (4, 4, 9),
        (6, 6, 1),
    ]
    assert [label for _, label in drawn.ticks] == ["2", "3", "4", "5", "6"]


def test_nothing_is_no_chart() -> None:
    assert chart({}) is None


def test_how_many_reach_a_value() -> None:
    assert at_least({10176: 4, 10240: 2, 20480: 1}, 10240) == 3


def test_bands_are_as_thick_as_their_share() -> None:
    found = flow(750, {"image_missing": 200, "no_id": 50})
    assert [branch.reason for branch in found.branches] == ["", "image_missing", "no_id"]
    thick = []
    for branch in found.branches:
        numbers = [float(number) for number in re.findall(r"[\d.]+", branch.path)]
        thick.append(numbers[-1] - numbers[1])
    assert thick == [0.75 * THICKNESS, 0.2 * THICKNESS, 0.05 * THICKNESS]
    assert found.stem == THICKNESS


def test_every_row_has_room_for_its_text_and_its_band() -> None:
    found = flow(10**6, {f"r{n}": 1 for n in range(20)})
    assert found.height == sum(branch.units for branch in found.branches) * ROW
    assert all(1 <= branch.units <= MAX_UNITS for branch in found.branches)


def test_no_record_accepted_is_no_band() -> None:
    found = flow(0, {"no_id": 3})
    assert [bool(branch.path) for branch in found.branches] == [False, True]


def test_no_record_at_all() -> None:
    assert flow(0, {}).stem == 0
