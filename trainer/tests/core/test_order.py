"""What remains can be loaded: an image row first, and never far from the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mat_trainer.core import order
from mat_trainer.core.errors import PreflightError
from mat_trainer.core.order import MAX_RUN, Row, deal, remaining


def longest_run(rows: list[Row], images: dict[str, list[bool]]) -> int:
    run = longest = 0
    for path, row in rows:
        run = 0 if images[path][row] else run + 1
        longest = max(longest, run)
    return longest


PARTS = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.booleans(), min_size=1, max_size=12), min_size=1
)


@given(PARTS, st.data())
def test_every_row_remains_once_but_those_left_out(
    images: dict[str, list[bool]], data: st.DataObject
) -> None:
    every = [(path, row) for path, flags in images.items() for row in range(len(flags))]
    gone = data.draw(st.sets(st.sampled_from(every), max_size=len(every) - 1))
    out = {path: {row for part, row in gone if part == path} for path in images}
    kept = remaining(images, out)
    assert sorted(row for rows in kept.values() for row in rows) == sorted(set(every) - gone)
    assert all(kept.values())
    for path, rows in kept.items():
        if not out[path] and all(part == path for part, _ in rows):
            assert rows == [(path, row) for row in range(len(images[path]))]
        # A part that lost rows begins with an image row if any row of the entry has images.
        elif any(images[part][row] for part, row in rows):
            assert images[rows[0][0]][rows[0][1]]


def test_rows_stay_in_their_order() -> None:
    images = {"a": [True, False, True, False]}
    assert remaining(images, {"a": {1}}) == {"a": [("a", 0), ("a", 2), ("a", 3)]}


def test_text_rows_are_spread_anew_where_images_went() -> None:
    flags = [True, *[False] * 300, True, *[False] * 300, True, True]
    kept = remaining({"a": flags}, {"a": {301}})["a"]
    assert len(kept) == len(flags) - 1
    assert longest_run(kept, {"a": flags}) <= MAX_RUN


def test_text_rows_that_are_too_many_move_to_another_part() -> None:
    images = {"a": [True, *[False] * 300, True, *[False] * 300], "b": [True] * 3}
    kept = remaining(images, {"a": {301}})
    assert len(kept["a"]) == 1 + MAX_RUN
    assert len(kept["b"]) == 3 + 200
    assert max(longest_run(rows, images) for rows in kept.values()) <= MAX_RUN


def test_what_cannot_be_loaded_is_an_error() -> None:
    images = {"a": [True, True, *[False] * 1000]}
    with pytest.raises(PreflightError, match="1 rows with images and 1000 without remain"):
        remaining(images, {"a": {0}})


def test_a_dataset_without_images_stays_as_it_is() -> None:
    images = {"a": [False] * 3}
    assert remaining(images, {"a": {0}}) == {"a": [("a", 1), ("a", 2)]}


def test_the_bounds_are_below_the_loaders_thousand() -> None:
    assert order.MAX_RUN < order._LOADABLE_RUN < 1000


@given(st.lists(st.integers(), min_size=1), st.lists(st.integers()))
def test_dealing_keeps_all_in_order_and_spreads_evenly(images: list[int], texts: list[int]) -> None:
    dealt = deal([(True, image) for image in images], [(False, text) for text in texts])
    assert [value for is_image, value in dealt if is_image] == images
    assert [value for is_image, value in dealt if not is_image] == texts
    assert dealt[0][0]
    flags = {"a": [is_image for is_image, _ in dealt]}
    whole = [("a", row) for row in range(len(dealt))]
    assert longest_run(whole, flags) <= -(-len(texts) // len(images))
