"""Buckets of histograms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.histogram import bucket


def test_buckets_begin_at_the_numbers_that_one_asks_for() -> None:
    for asked in (2048, 4096, 8192, 10240, 16384, 32768, 262144):
        assert bucket(asked) == asked
        assert bucket(asked - 1) < asked


@given(st.integers(0, 1 << 40))
def test_a_bucket_is_near_its_values(value: int) -> None:
    assert value * 31 / 32 <= bucket(value) <= value
