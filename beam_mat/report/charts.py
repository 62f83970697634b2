"""Lays out histograms as bar charts with a logarithmic axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from beam_mat.core.statistics import Histogram, bucket

WIDTH = 360
HEIGHT = 120
MAX_BARS = 48
WIDEST_BAR = 36
MAX_LABELS = 8


class Bar(NamedTuple):
    """A bar: its rectangle, its lowest and highest value, and the number of values."""

    x: float
    y: float
    width: float
    height: float
    least: int
    most: int
    values: int


class Tick(NamedTuple):
    """A label below the axis."""

    x: float
    label: str


class Axis(NamedTuple):
    """Positions of the bars: one bar per small value, then a fixed number per power of two.

    A bar depends on the leading `bits` of a value. `first` is the position of the first bar, `step`
    the distance between two bars.
    """

    bits: int
    first: int
    step: float

    def x(self, position: int) -> float:
        """The left edge of the bar at a position."""
        return round((position - self.first) * self.step, 1)

    def position(self, value: int) -> int:
        """The position of a value's bar among all bars."""
        shift = max(0, value.bit_length() - self.bits)
        return (shift << (self.bits - 1)) + (value >> shift)

    def value(self, position: int) -> int:
        """The lowest value of the bar at a position."""
        half = 1 << (self.bits - 1)
        if position < 2 * half:
            return position
        shift, rest = divmod(position - half, half)
        return (half + rest) << shift


class Chart(NamedTuple):
    """A histogram laid out in `WIDTH` by `HEIGHT` units, without its empty bars.

    `median`, `least` and `most` are buckets.
    """

    bars: list[Bar]
    ticks: list[Tick]
    median: int
    least: int
    most: int
    axis: Axis

    def x(self, value: int) -> float:
        """The x coordinate of a value."""
        return self.axis.x(self.axis.position(value))


def chart(histogram: Histogram, reach: Iterable[int] = ()) -> Chart | None:
    """Lays out a histogram of values from 1 on. Returns None if it is empty.

    `reach` has further values that the axis must include.
    """
    if not histogram:
        return None
    ends = [*histogram, *reach]
    axis, last = _axis(min(ends), max(ends))
    values = Counter[int]()
    for least, count in histogram.items():
        values[bucket(least, axis.bits)] += count
    tallest = max(values.values())
    bars = []
    for least, count in sorted(values.items()):
        height = max(1.0, round((HEIGHT - 6) * count / tallest, 1))
        position = axis.position(least)
        width = round(max(0.6, axis.step - 1), 1)
        most = axis.value(position + 1) - 1
        y = round(HEIGHT - height, 1)
        bars.append(Bar(axis.x(position), y, width, height, least, most, count))
    ticks = _ticks(axis, last)
    return Chart(bars, ticks, median(histogram), min(histogram), max(histogram), axis)


def _axis(least: int, most: int) -> tuple[Axis, int]:
    """The finest axis with at most `MAX_BARS` bars, and its last position."""
    for bits in (6, 5, 4, 3, 2):
        axis = Axis(bits, 0, 1)
        first, last = axis.position(least), axis.position(most)
        if last - first < MAX_BARS:
            break
    return Axis(bits, first, min(WIDEST_BAR, WIDTH / (last - first + 1))), last


def _ticks(axis: Axis, last: int) -> list[Tick]:
    """Labels below the middle of bars with a single value, otherwise below the bars' edges."""
    single = axis.value(last + 1) - axis.value(last) == 1
    marked = range(axis.first, last + 1 if single else last + 2)
    every = 1
    while len(shown := [at for at in marked if at % every == 0]) > MAX_LABELS:
        every *= 2  # keeps the powers of two, and the values halfway between them
    middle = axis.step / 2 if single else 0
    return [Tick(round(axis.x(at) + middle, 1), short(axis.value(at))) for at in shown]


def median(histogram: Histogram) -> int:
    """The bucket of the median.

    >>> median({2: 3, 4: 1, 6: 1})
    2
    """
    half = sum(histogram.values()) / 2
    seen = 0
    for least, count in sorted(histogram.items()):
        seen += count
        if seen >= half:
            return least
    return 0


def at_least(histogram: Histogram, value: int) -> int:
    """The number of values that are at least `value`. Exact if a bucket begins at `value`.

    >>> at_least({2: 3, 4: 1, 6: 1}, 4)
    2
    """
    return sum(count for least, count in histogram.items() if least >= value)


def short(value: int) -> str:
    """A short label for a number. Large numbers are in units of 1024.

    >>> short(40), short(10240), short(3 << 20)
    ('40', '10k', '3M')
    """
    for unit, size in (("M", 1 << 20), ("k", 1 << 10)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)
