"""Sizes and tokens, against a table that LLaMA-Factory's own code filled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.geometry import (
    QWEN2_VL,
    QWEN3_VL,
    Budget,
    Size,
    TokenRule,
    resize_steps,
    tokens,
    turned_as,
    vanishes,
)
from tests.properties import examples

TABLE = json.loads(
    (Path(__file__).parents[1] / "llamafactory" / "sizes.json").read_text(encoding="utf-8")
)
ROWS = [dict(zip(TABLE["columns"], row, strict=True)) for row in TABLE["rows"]]


def final(size: Size, budget: Budget) -> Size:
    return [size, *resize_steps(size, budget)][-1]


def test_every_size_is_the_one_that_llamafactory_makes() -> None:
    assert len(ROWS) > 500
    for row in ROWS:
        if row["qwen_width"] is None:
            continue
        budget = Budget(row["max_pixels"], TABLE["min_pixels"])
        size = final((row["width"], row["height"]), budget)
        assert size == (row["qwen_width"], row["qwen_height"]), row


@pytest.mark.parametrize(("rule", "column"), [(QWEN2_VL, "tokens_28"), (QWEN3_VL, "tokens_32")])
def test_every_token_count_is_the_one_of_the_model(rule: TokenRule, column: str) -> None:
    for row in ROWS:
        if row[column] is not None:
            size = (row["qwen_width"], row["qwen_height"])
            assert tokens(size, rule) == row[column], row


@pytest.mark.parametrize("row", [row for row in ROWS if row["qwen_width"] is None][:20])
def test_where_llamafactory_stops_a_size_still_comes_out(row: dict[str, int]) -> None:
    budget = Budget(row["max_pixels"], TABLE["min_pixels"])
    assert min(final((row["width"], row["height"]), budget)) >= 28


@pytest.mark.parametrize(
    "size", [(512, 512), (28, 37), (5040, 28), (1, 1), (70000, 3), (9999, 9999)]
)
def test_a_size_that_came_out_stays(size: Size) -> None:
    budget = Budget()
    out = final(size, budget)
    assert final(out, budget) == out
    assert out[0] * out[1] <= budget.max_pixels
    assert min(out) >= 28


@settings(max_examples=examples(500))
@given(st.integers(1, 65535), st.integers(1, 65535), st.sampled_from([262144, 589824, 1]))
def test_no_step_on_the_way_is_much_larger_than_the_budget(
    width: int, height: int, max_pixels: int
) -> None:
    for size in resize_steps((width, height), Budget(max_pixels)):
        assert size[0] * size[1] <= max(28 * 65535, max_pixels)


@settings(max_examples=examples(300))
@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([262144, 589824, 5000]))
def test_a_resized_image_tells_how_it_was_turned(width: int, height: int, max_pixels: int) -> None:
    stored = (width, height)
    resized = final(stored, Budget(max_pixels))
    assert turned_as(resized, stored) == stored
    turned = turned_as(resized[::-1], stored)
    assert turned == stored[::-1] or resized[0] == resized[1]


@given(st.integers(1, 3), st.integers(1, 10**6), st.booleans())
def test_a_picture_vanishes_where_its_scaled_side_is_nothing(
    short: int, long: int, upright: bool
) -> None:
    size = (short, long) if upright else (long, short)
    budget = Budget(589824)
    first = next(iter(resize_steps(size, budget)), size)
    assert vanishes(size, budget) <= (min(first) == 1)
