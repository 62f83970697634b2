"""Lays out histograms as bar charts with a logarithmic axis, and the flow chart of records.

The flow chart is a band of all records that splits into accepted records and reasons. Its picture
is stretched to the available width, and the bands end at rows of text next to it. All heights are
therefore in text rows.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from beam_mat.core.statistics import Histogram

WIDTH = 360
HEIGHT = 120
MAX_BARS = 48
WIDEST_BAR = 36
MAX_LABELS = 8

ROW = 30
"""Height of a row in pixels; style.css has the same."""
THICKNESS = 210
"""Height in pixels of the band of all records."""
THINNEST = 1.5
MAX_UNITS = 8


class Bar(NamedTuple):
    """A bar: its rectangle, its lowest and highest value, and the number of values."""

    x: float
    y: float
    width: float
    height: float
    least: int
    most: int
    values: int


class Axis(NamedTuple):
    """Positions of the bars: one bar per small value, then a fixed number per power of two.

    A bar depends on the leading `bits` of a value. `first` and `last` are the outermost positions.
    """

    bits: int
    first: int
    last: int

    @classmethod
    def finest(cls, least: int, most: int) -> Axis:
        """The finest axis with at most `MAX_BARS` bars, or else the coarsest."""
        for bits in (6, 5, 4, 3, 2):
            axis = cls(bits, _position(least, bits), _position(most, bits))
            if axis.last - axis.first < MAX_BARS:
                break
        return axis

    @property
    def step(self) -> float:
        """The distance between two bars."""
        return min(WIDEST_BAR, WIDTH / (self.last - self.first + 1))

    def x(self, position: int) -> float:
        """The left edge of the bar at a position."""
        return round((position - self.first) * self.step, 1)

    def value(self, position: int) -> int:
        """The lowest value of the bar at a position."""
        half = 1 << (self.bits - 1)
        shift = max(0, position // half - 1)
        return (position - shift * half) << shift

    def ticks(self) -> list[tuple[float, str]]:
        """Labels with their x: below bars with a single value, otherwise below the bars' edges."""
        is_single = self.value(self.last + 1) - self.value(self.last) == 1
        marked = range(self.first, self.last + (1 if is_single else 2))
        every = 1
        while len(shown := [at for at in marked if at % every == 0]) > MAX_LABELS:
            every *= 2  # keeps the powers of two, and the values halfway between them
        middle = self.step / 2 if is_single else 0
        return [(round(self.x(at) + middle, 1), _short(self.value(at))) for at in shown]


def _position(value: int, bits: int) -> int:
    """The position of a value's bar among all bars."""
    shift = max(0, value.bit_length() - bits)
    return (shift << (bits - 1)) + (value >> shift)


class Chart(NamedTuple):
    """A histogram laid out in `WIDTH` by `HEIGHT` units, without its empty bars.

    `median`, `least` and `most` are buckets. `ticks` are the labels below the axis.
    """

    bars: list[Bar]
    ticks: list[tuple[float, str]]
    median: int
    least: int
    most: int
    axis: Axis

    def x(self, value: int) -> float:
        """The x coordinate of a value."""
        return self.axis.x(_position(value, self.axis.bits))


def chart(histogram: Histogram, reach: Iterable[int] = ()) -> Chart | None:
    """Lays out a histogram of values from 1 on. Returns None if it is empty.

    `reach` has further values that the axis must include.
    """
    if not histogram:
        return None
    ends = [*histogram, *reach]
    axis = Axis.finest(min(ends), max(ends))
    values = Counter[int]()
    for least, count in histogram.items():
        values[_position(least, axis.bits)] += count
    tallest = max(values.values())
    width = round(max(0.6, axis.step - 1), 1)
    bars = []
    for at, count in sorted(values.items()):
        height = max(1.0, round((HEIGHT - 6) * count / tallest, 1))
        least, most = axis.value(at), axis.value(at + 1) - 1
        bars.append(Bar(axis.x(at), round(HEIGHT - height, 1), width, height, least, most, count))
    median = _median(histogram)
    return Chart(bars, axis.ticks(), median, min(histogram), max(histogram), axis)


def _median(histogram: Histogram) -> int:
    """The bucket of the median.

    >>> _median({2: 3, 4: 1, 6: 1})
    2
    """
    values = sorted(histogram)
    seen = list(itertools.accumulate(histogram[value] for value in values))
    return values[bisect.bisect_left(seen, seen[-1] / 2)]


def at_least(histogram: Histogram, value: int) -> int:
    """The number of values that are at least `value`. Exact if a bucket begins at `value`."""
    return sum(count for least, count in histogram.items() if least >= value)


def _short(value: int) -> str:
    """A short label for a number. Large numbers are in units of 1024.

    >>> _short(40), _short(10240), _short(3 << 20)
    ('40', '10k', '3M')
    """
    for unit, size in (("M", 1 << 20), ("k", 1 << 10)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)


class Branch(NamedTuple):
    """One end of the flow; the reason of the accepted records is "".

    `units` is the height in text rows, `path` the band as SVG path data, "" without records.
    """

    reason: str
    records: int
    units: int
    path: str


class Flow(NamedTuple):
    """The flow chart. The branches go from top to bottom; the accepted records come first.

    `height` is that of the picture, `stem` that of the band of all records, both in pixels.
    """

    height: int
    stem: float
    branches: list[Branch]


def flow(accepted: int, rejected: Mapping[str, int]) -> Flow:
    """Lays out the flow chart; the branches have the order of the reasons in `rejected`."""
    total = accepted + sum(rejected.values())
    branches = []
    left = top = 0.0
    for reason, count in {"": accepted, **rejected}.items():
        thick = max(THINNEST, THICKNESS * count / total) if count else 0.0
        units = min(MAX_UNITS, max(1 if reason else 2, math.ceil((thick + 6) / ROW)))
        right = top + (units * ROW - thick) / 2
        branches.append(Branch(reason, count, units, _band(left, right, thick) if count else ""))
        left += thick
        top += units * ROW
    return Flow(int(top), round(left, 1), branches)


def _band(left: float, right: float, thick: float) -> str:
    """A band from the left edge (x = 0) to the right one (x = 100)."""
    a, b, c, d = (f"{y:.1f}" for y in (left, right, right + thick, left + thick))
    return f"M0 {a}C55 {a} 45 {b} 100 {b}V{c}C45 {c} 55 {d} 0 {d}Z"
