"""The places that are watched: what lies there, and which pattern a file belongs to."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from beam_mat.core.arrivals import Found
from beam_mat.storage import files


def listing(patterns: Sequence[str]) -> dict[str, Found]:
    """The files that lie there now, by uri; each by the first pattern that fits it."""
    found: dict[str, Found] = {}
    for order, pattern in enumerate(patterns):
        try:
            there = files.expand(pattern)
        except FileNotFoundError:
            continue  # nothing has arrived
        for file in there:
            found.setdefault(file.uri, _found(file, order))
    return found


def _found(file: files.FileInfo, order: int) -> Found:
    # A local file, or one on a mounted disk, can be seen while it is written.
    return Found(file.uri, order, file.size, file.version, settles="://" in file.uri)


def order_of(uri: str, patterns: Sequence[str]) -> int | None:
    """The number of the first pattern that a file's uri fits, or None.

    >>> order_of("gs://b/in/a.json", ["gs://b/other/*", "gs://b/in/*.json"])
    1
    >>> order_of("gs://b/in/deep/a.json", ["gs://b/in/*.json"])
    """
    for order, pattern in enumerate(patterns):
        if uri == pattern or _fits(uri.split("/"), pattern.split("/")):
            return order
    return None


def _fits(names: list[str], patterns: list[str]) -> bool:
    """Segment by segment: an asterisk stands for no slash, but two stand for any folders."""
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_fits(names[at:], patterns[1:]) for at in range(len(names) + 1))
    return (
        bool(names)
        and fnmatch.fnmatchcase(names[0], patterns[0])
        and _fits(names[1:], patterns[1:])
    )


def look_up(uri: str, order: int) -> Found | None:
    """A file as it is now, or None where it is no more."""
    file = files.file_at(uri)
    return _found(file, order) if file else None
