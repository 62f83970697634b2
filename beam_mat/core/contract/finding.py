"""Where a violation was found, and the sums of many."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from beam_mat.core.contract.kind import Kind

FIRST = 5
"""Places kept of each kind."""
MAX_SHOWN = 90


class Place(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Where in a dataset.

    Attributes:
        file: Place of the file among the entry's files, or -1 for the entry itself.
        row: Index of the row in its file, or -1 for the file itself.
        id: The row's id where it has one.
    """

    file: int = -1
    row: int = -1
    id: str = ""


class Finding(msgspec.Struct, frozen=True, array_like=True):
    """One violation: its kind, its place, and what was found there."""

    kind: Kind
    place: Place
    detail: str


class Count(msgspec.Struct, array_like=True):
    """How often a kind was found, and the first of them, in order of place."""

    kind: Kind
    number: int
    first: list[Finding]


class Tally:
    """Adds findings up, in memory that does not grow with their number."""

    def __init__(self) -> None:
        self._counts: dict[Kind, Count] = {}

    def add(self, finding: Finding, number: int = 1) -> None:
        """Adds a finding that stands for `number` of its kind."""
        self.merge([Count(finding.kind, number, [finding])])

    def merge(self, counts: Iterable[Count]) -> None:
        """Adds the counts of another tally."""
        for count in counts:
            mine = self._counts.setdefault(count.kind, Count(count.kind, 0, []))
            mine.number += count.number
            firsts = [*mine.first, *count.first]
            mine.first = sorted(firsts, key=lambda found: (found.place, found.detail))[:FIRST]

    def counts(self) -> list[Count]:
        """What was found, in the order of `Kind`."""
        return [self._counts[kind] for kind in Kind if kind in self._counts]


def printable(text: str) -> str:
    r"""A text that can be written and printed anywhere: what cannot is escaped.

    >>> printable("Tür"), printable("a\tb\ud800")
    ('Tür', 'a\\tb\\ud800')
    """
    return text if text.isprintable() else repr(text)[1:-1]


def shown(value: object) -> str:
    """A value in few characters.

    >>> shown("abc"), shown(None), shown("x" * 200)[-3:]
    ("'abc'", 'null', 'xx…')
    """
    if value is None:
        return "null"
    try:
        text = repr(value[: MAX_SHOWN + 1] if isinstance(value, str | bytes) else value)
    except RecursionError:
        return "a value nested deep in itself"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
