"""Histograms that can be added up: bounded in size, exact where one wants to count."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K", int, str)
V = TypeVar("V")

Histogram = dict[int, int]
"""How many values fall into each bucket, by the least value of the bucket."""


def bucket(value: int, bits: int = 6) -> int:
    """The least value of a value's bucket: the value with all but its first `bits` bits cleared.

    So buckets are exact below 64 and about three percent wide above, and their bounds hold every
    number like 2048 or 10240 against which one wants to count.

    >>> bucket(40), bucket(1000), bucket(10240)
    (40, 992, 10240)
    """
    shift = max(0, value.bit_length() - bits)
    return value >> shift << shift


def count(histogram: Histogram, value: int) -> None:
    """Adds a value."""
    least = bucket(value)
    histogram[least] = histogram.get(least, 0) + 1


def merge(histogram: Histogram, more: Histogram) -> None:
    """Adds the values of another."""
    for least, values in more.items():
        histogram[least] = histogram.get(least, 0) + values


def ordered(by_key: dict[K, V]) -> dict[K, V]:
    """A mapping in the order in which it is written down."""
    return dict(sorted(by_key.items()))
