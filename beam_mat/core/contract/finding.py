"""Violations with their locations, and their counts."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from beam_mat.core.contract.kind import Kind

FIRST = 5
"""The number of findings of each kind that are kept."""
MAX_SHOWN = 90


class Place(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A location in an entry of a dataset: a row and its id, a whole file, or the entry itself.

    `file` is the index of the file among the entry's files, or -1 for the entry itself. `row` is
    the index of the row in its file, or -1 for the file itself.
    """

    file: int = -1
    row: int = -1
    id: str = ""


class Finding(msgspec.Struct, frozen=True, array_like=True):
    """One violation: its kind, its location and the details."""

    kind: Kind
    place: Place
    detail: str


class Count(msgspec.Struct, array_like=True):
    """The number of findings of a kind, and the first ones, ordered by location."""

    kind: Kind
    number: int
    first: list[Finding]


class Tally:
    """Counts findings. Its memory does not grow with their number."""

    def __init__(self) -> None:
        self._counts: dict[Kind, Count] = {}

    def add(self, finding: Finding, number: int = 1) -> None:
        """Adds a finding that counts `number` times."""
        self.merge([Count(finding.kind, number, [finding])])

    def merge(self, counts: Iterable[Count]) -> None:
        """Adds the counts of another tally."""
        for count in counts:
            mine = self._counts.setdefault(count.kind, Count(count.kind, 0, []))
            mine.number += count.number
            firsts = [*mine.first, *count.first]
            mine.first = sorted(firsts, key=lambda found: (found.place, found.detail))[:FIRST]

    def counts(self) -> list[Count]:
        """The counts in the order of `Kind`."""
        return [self._counts[kind] for kind in Kind if kind in self._counts]


def printable(text: str) -> str:
    r"""A text that is safe to write and print: all other characters are escaped.

    >>> printable("Tür"), printable("a\tb\ud800")
    ('Tür', 'a\\tb\\ud800')
    """
    return text if text.isprintable() else repr(text)[1:-1]


def shown(value: object) -> str:
    """A short text that shows a value.

    >>> shown("abc"), shown(None), shown("x" * 200)[-3:]
    ("'abc'", 'null', 'xx…')
    """
    if value is None:
        return "null"
    try:
        text = repr(value[: MAX_SHOWN + 1] if isinstance(value, str | bytes) else value)
    except RecursionError:
        return "a deeply nested value"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
