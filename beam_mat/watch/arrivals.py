"""Which of the files that lie in watched places are new and whole, and how many are let in.

Pure: what was found and when goes in, what to work on comes out. Times are seconds on any clock
that only goes forward.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

MAX_BYTES = 256 << 20
"""Bytes of shards at work at a time; one larger shard is let in alone."""
MAX_FILES = 128
"""Files let in at a time: what a store answers in seconds, and a runner holds in little memory."""


class Found(msgspec.Struct, frozen=True):
    """A file in a watched place, found by the pattern with the number `order`.

    `version` changes when its content does. `settles` says whether it always appears whole, as on
    an object store.
    """

    uri: str
    order: int
    size: int
    version: str
    settles: bool = False

    @property
    def content(self) -> tuple[int, str]:
        """What tells versions apart."""
        return self.size, self.version


class Released(msgspec.Struct, frozen=True):
    """A file that was let in: when, on the clock of the graph's watermark, and when it was seen."""

    found: Found
    at: float
    seen: float


class Arrivals:
    """Files of one kind on their way into the dataset.

    Args:
        max_bytes: Bytes that are let in at a time, or None where it takes no longer to work on a
            larger file.

    Attributes:
        queue: New and whole, not let in yet, by uri, first come first.
        working: Let in and not in the dataset yet, by uri.
    """

    def __init__(self, max_bytes: int | None = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self.queue: dict[str, tuple[Found, float]] = {}
        self.working: dict[str, Released] = {}
        self._known: dict[str, tuple[int, str]] = {}
        self._before: dict[str, tuple[int, str]] = {}

    def know(self, uri: str, content: tuple[int, str]) -> None:
        """Takes a version for one that is in the dataset: it is not let in again."""
        self._known[uri] = content
        working = self.working.get(uri)
        if working and working.found.content == content:
            del self.working[uri]

    def again(self, found: Found, now: float) -> None:
        """Lets a version in once more that is in the dataset, when it is not worked on."""
        self.queue.setdefault(found.uri, (found, now))

    def drop(self, uri: str) -> None:
        """Gives up a version that is gone; a later one is new."""
        self.queue.pop(uri, None)
        self.working.pop(uri, None)
        self._known.pop(uri, None)

    def look(self, listing: Iterable[Found], now: float) -> None:
        """Takes in what lies there now.

        A file that does not appear whole by itself is new when two looks in a row found the same
        size and version.
        """
        found = {one.uri: one for one in listing}
        for one in found.values():
            if self._known.get(one.uri) == one.content:
                continue
            if not one.settles and self._before.get(one.uri) != one.content:
                continue
            self._known[one.uri] = one.content
            self.queue[one.uri] = (one, self.queue.get(one.uri, (one, now))[1])
        self._before = {one.uri: one.content for one in found.values()}
        for uri in [*self.queue, *self.working]:
            if uri not in found:
                self.drop(uri)

    def unsettled(self, listing: Iterable[Found]) -> int:
        """How many files of a listing may still grow."""
        return sum(self._known.get(one.uri) != one.content for one in listing)

    def release(self, at: float, mark: float, *, stop: bool = False) -> list[Found]:
        """Lets files in, as many as there is room for.

        Args:
            at: The graph's time now.
            mark: The graph's time up to which all that was let in has been worked on.
            stop: Whether nothing is to be let in any more.
        """
        if stop:
            return []
        busy = [one.found.size for one in self.working.values() if one.at >= mark]
        held, count = sum(busy), len(busy)
        out: list[Found] = []
        for uri in list(self.queue):
            found, seen = self.queue[uri]
            working = self.working.get(uri)
            if working and working.found.content == found.content:
                continue  # twice at a time the outcomes of one would be taken for the other's
            too_much = self._max_bytes is not None and held + found.size > self._max_bytes
            if count and (too_much or count >= MAX_FILES):
                break
            held, count = held + found.size, count + 1
            del self.queue[uri]
            self.working[uri] = Released(found, at, seen)
            out.append(found)
        return out

    def unprocessed(self, mark: float) -> int:
        """How many files that were let in are still worked on."""
        return sum(one.at >= mark for one in self.working.values())

    def oldest(self) -> float | None:
        """When the file was seen that has waited longest to get into the dataset."""
        seen = [seen for _, seen in self.queue.values()]
        seen += [one.seen for one in self.working.values()]
        return min(seen, default=None)
