"""Histograms as bars: four to an octave, for the values reach over several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from beam_mat.core.statistics import Histogram, bucket

WIDTH = 360
HEIGHT = 120
BITS = 3
"""First bits of a value that tell its bar: four bars an octave from 4 on, one a value below."""
MAX_LABELS = 8


class Bar(NamedTuple):
    """A bar: where it stands, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    least: int
    most: int
    values: int


class Tick(NamedTuple):
    """A number below the axis."""

    x: float
    label: str


class Chart(NamedTuple):
    """A histogram, laid out in `WIDTH` by `HEIGHT`.

    Attributes:
        bars: The bars that are not empty.
        ticks: Numbers below the axis.
        median: The value below which half of the values lie.
        least, most: The first and the last bucket.
        first: The position of the first bar.
        step: The distance of two bars.
    """

    bars: list[Bar]
    ticks: list[Tick]
    median: int
    least: int
    most: int
    first: int
    step: float

    def x(self, value: int) -> float:
        """Where a value stands."""
        return round((_position(value) - self.first) * self.step, 1)


def chart(histogram: Histogram, reach: Iterable[int] = ()) -> Chart | None:
    """Lays a histogram out; None when it holds nothing.

    Args:
        histogram: Values of 1 and more.
        reach: Values that are to be on the axis as well.
    """
    bars = Counter[int]()
    for least, count in histogram.items():
        bars[bucket(least, BITS)] += count
    if not bars:
        return None
    ends = [*bars, *reach]
    first, last = _position(min(ends)), _position(max(ends))
    step = WIDTH / (last - first + 1)
    tallest = max(bars.values())
    drawn = []
    for least, count in sorted(bars.items()):
        height = max(1.0, (HEIGHT - 6) * count / tallest)
        x = (_position(least) - first) * step
        width = max(0.6, step - 1)
        most = _value(_position(least) + 1) - 1
        drawn.append(Bar(*_rounded(x, HEIGHT - height, width, height), least, most, count))
    ticks = _ticks(first, last, step)
    return Chart(drawn, ticks, median(histogram), min(histogram), max(histogram), first, step)


def median(histogram: Histogram) -> int:
    """The bucket in the middle.

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
    """How many values are at least so much; exact where a bucket begins at `value`.

    >>> at_least({2: 3, 4: 1, 6: 1}, 4)
    2
    """
    return sum(count for least, count in histogram.items() if least >= value)


def _position(value: int) -> int:
    """The place of a value's bar among all bars."""
    shift = max(0, value.bit_length() - BITS)
    return (shift << (BITS - 1)) + (value >> shift)


def _value(position: int) -> int:
    """The least value of the bar at a place."""
    half = 1 << (BITS - 1)
    if position < 2 * half:
        return position
    shift, rest = divmod(position - half, half)
    return (half + rest) << shift


def _ticks(first: int, last: int, step: float) -> list[Tick]:
    marked = list(range(first, last + 2))
    if len(marked) > MAX_LABELS:
        octave = 1 << (BITS - 1)
        marked = [position for position in marked if position % octave == 0]
        every = -(-len(marked) // MAX_LABELS)
        marked = marked[::every]
    return [Tick(round((at - first) * step, 1), short(_value(at))) for at in marked]


def short(value: int) -> str:
    """A number for an axis, in units of 1024 where it is large.

    >>> short(40), short(10240), short(3 << 20)
    ('40', '10k', '3M')
    """
    for unit, size in (("M", 1 << 20), ("k", 1 << 10)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)


def _rounded(*values: float) -> tuple[float, float, float, float]:
    x, y, width, height = (round(value, 1) for value in values)
    return x, y, width, height
