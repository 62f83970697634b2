"""The order of rows in a copy of a dataset without some rows. Pure.

LLaMA-Factory's loader guesses a column's type from the first rows of a file, and of each 1,000 rows
that a preprocessing worker converts. If those have no images it guesses "null", and the first row
with an image then fails ("Couldn't cast ... to null"). So a part begins with an image row, and only
a few text-only rows are between one image row and the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TypeVar

from mat_trainer.core.errors import PreflightError

T = TypeVar("T")
Row = tuple[str, int]
"""A part's path, and a row's number in it."""

MAX_RUN = 400
"""The most text-only rows in sequence; the same as in beam-mat."""

_LOADABLE_RUN = 900


def remaining(
    images: Mapping[str, list[bool]], out: Mapping[str, Set[int]]
) -> dict[str, list[Row]]:
    """The rows of each part of an entry, without some rows.

    Rows keep their part and order if LLaMA-Factory can load that. Text-only rows that have lost the
    image rows around them are spread again; those that are too many for their part move to the
    part with the most image rows. A part without rows is left out.

    Args:
        images: For each part, whether each row has images.
        out: Rows to leave out, by part.

    Raises:
        PreflightError: No row remains, or too few image rows for the text-only rows.
    """
    rows: dict[str, list[Row]] = {}
    moved: list[Row] = []
    for path, flags in images.items():
        kept = [(path, row) for row in range(len(flags)) if row not in out.get(path, ())]
        if len(kept) < len(flags) and any(flags):
            kept, surplus = _arranged(kept, images)
            moved += surplus
        if kept:
            rows[path] = kept
    if moved and any(_has(rows[path], images) for path in rows):
        home = max(rows, key=lambda path: len(_has(rows[path], images)))
        with_images = _has(rows[home], images)
        apart = set(with_images)
        text_only = [row for row in rows[home] if row not in apart] + moved
        if len(text_only) > _LOADABLE_RUN * len(with_images):
            raise PreflightError(
                f"without the rows that exceed cutoff_len, {len(with_images)} rows with images "
                f"and {len(text_only)} without remain, which LLaMA-Factory fails to load; "
                "raise cutoff_len or lower image_max_pixels",
            )
        rows[home] = deal(with_images, text_only)
    elif moved:
        rows[moved[0][0]] = moved
    if not rows:
        raise PreflightError("every row exceeds cutoff_len: raise it, or lower image_max_pixels")
    return rows


def _arranged(kept: list[Row], images: Mapping[str, list[bool]]) -> tuple[list[Row], list[Row]]:
    """A part's rows in an order that can be loaded, and the rows that are too many for it."""
    run = 0
    longest = 0 if kept and images[kept[0][0]][kept[0][1]] else MAX_RUN + 1
    for path, row in kept:
        run = 0 if images[path][row] else run + 1
        longest = max(longest, run)
    if longest <= MAX_RUN:
        return kept, []
    with_images = _has(kept, images)
    there = set(with_images)
    text_only = [row for row in kept if row not in there]
    room = MAX_RUN * len(with_images)
    return deal(with_images, text_only[:room]), text_only[room:]


def _has(rows: list[Row], images: Mapping[str, list[bool]]) -> list[Row]:
    return [(path, row) for path, row in rows if images[path][row]]


def deal(images: list[T], texts: list[T]) -> list[T]:
    """Spreads `texts` evenly after the elements of `images`.

    >>> deal(list("IJK"), list("abcde"))
    ['I', 'a', 'J', 'b', 'c', 'K', 'd', 'e']
    """
    dealt: list[T] = []
    done = 0
    for number, image in enumerate(images, 1):
        upto = len(texts) * number // len(images)
        dealt += [image, *texts[done:upto]]
        done = upto
    return dealt
