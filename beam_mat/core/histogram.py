"""Histograms that can be merged. Their size is bounded, and small values are counted exactly."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K", int, str)
V = TypeVar("V")

Histogram = dict[int, int]
"""Maps the lowest value of each bucket to the number of values in the bucket."""


def bucket(value: int, bits: int = 6) -> int:
    """The lowest value of a value's bucket: the value with all but its first `bits` bits cleared.

    Buckets below 64 hold one value each, and larger buckets are about three percent wide. Common
    limits such as 2048 and 10240 are bucket boundaries, so values can be counted against them.

    >>> bucket(40), bucket(1000), bucket(10240)
    (40, 992, 10240)
    """
    shift = max(0, value.bit_length() - bits)
    return value >> shift << shift


def count(histogram: Histogram, value: int) -> None:
    """Adds a value to a histogram."""
    least = bucket(value)
    histogram[least] = histogram.get(least, 0) + 1


def merge(histogram: Histogram, more: Histogram) -> None:
    """Adds the values of another histogram."""
    for least, values in more.items():
        histogram[least] = histogram.get(least, 0) + values


def ordered(by_key: dict[K, V]) -> dict[K, V]:
    """The mapping sorted by key, which is the order in files."""
    return dict(sorted(by_key.items()))
