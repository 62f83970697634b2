"""What to show: the arguments of ``beam-mat show``, checked."""

from __future__ import annotations

import msgspec

FIRST_REJECTS = 5
"""How many rejected records are shown when none is named."""
NAMED_PLACES = 8
"""How many other rows of the same id are listed."""


class ShowArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The row to show by `id` or by `index` (from 0), or the rejects; `full` shortens nothing.

    `name` is the only entry to show rows of. `folder` is the URI of the dataset.
    """

    folder: str
    id: str | None = None
    index: int | None = None
    name: str | None = None
    full: bool = False


def indices(numbers: list[int]) -> str:
    """The option that shows the first of these rows, and how many more there are."""
    rest = len(numbers) - NAMED_PLACES
    listed = ", ".join(str(number) for number in numbers[:NAMED_PLACES])
    return f"--index {listed}{f' and {rest:,} more' if rest > 0 else ''}"
