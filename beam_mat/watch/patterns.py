"""Lists the files that match the watched patterns."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from beam_mat.storage import files
from beam_mat.watch.arrivals import Found


def listing(patterns: Sequence[str]) -> dict[str, Found]:
    """Lists the files that match the patterns now, by URI. Each has its first matching pattern."""
    found: dict[str, Found] = {}
    for order, pattern in enumerate(patterns):
        try:
            matches = files.expand(pattern)
        except FileNotFoundError:
            continue  # nothing has arrived
        for file in matches:
            found.setdefault(file.uri, _found(file, order))
    return found


def _found(file: files.FileInfo, order: int) -> Found:
    # A file on a disk is visible while it is written; an object only when it is complete.
    return Found(file.uri, order, file.size, file.version, settles="://" in file.uri)


def order_of(uri: str, patterns: Sequence[str]) -> int | None:
    """Returns the index of the first pattern that matches a file's URI, or None.

    >>> order_of("gs://b/in/a.json", ["gs://b/other/*", "gs://b/in/*.json"])
    1
    >>> order_of("gs://b/in/deep/a.json", ["gs://b/in/*.json"])
    """
    for order, pattern in enumerate(patterns):
        if uri == pattern or _fits(uri.split("/"), pattern.split("/")):
            return order
    return None


def _fits(names: list[str], patterns: list[str]) -> bool:
    """Compares segment by segment: ``*`` matches no slash, and ``**`` matches any folders."""
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
    """Returns a file as it is now, or None if it does not exist."""
    file = files.file_at(uri)
    return _found(file, order) if file else None
