"""Finds the files that match the watched patterns, and decides which are new and complete.

Times are seconds on any clock that only goes forward.
"""

import logging
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.display import one_line
from beam_mat.core.pattern import fits
from beam_mat.core.results import Source
from beam_mat.storage import archives, files
from beam_mat.storage.stores import name_fault

MAX_BYTES = 256 << 20
"""Bytes of shards that are processed at a time. A larger shard is let in alone."""
MAX_FILES = 128
"""Files let in at a time: what a store answers in seconds, and a runner holds in little memory."""

T = TypeVar("T", Shard, Source)

_LOG = logging.getLogger(__name__)


class Released(msgspec.Struct, Generic[T], frozen=True):
    """A file that was let in: when, on the clock of the graph's watermark, and when first seen."""

    file: T
    at: float
    seen: float


class Arrivals(Generic[T]):
    """Files of one kind (`Shard` or `Source`) on their way into the dataset.

    `max_bytes` are let in at a time; it is None if a larger file takes no longer. `listed` has the
    files that exist, `queue` those that are new, complete and not let in yet, with the time at
    which each was first seen, and `working` those that were let in and are not in the dataset yet.
    """

    def __init__(
        self, kind: type[T], patterns: Sequence[str], max_bytes: int | None = MAX_BYTES
    ) -> None:
        self._kind: type[T] = kind
        self._are_sources = issubclass(kind, Source)
        self._patterns = patterns
        self._max_bytes = max_bytes
        self.listed: dict[str, T] = {}
        self.queue: dict[str, tuple[T, float]] = {}
        self.working: dict[str, Released[T]] = {}
        self._known: dict[str, tuple[int, str]] = {}
        self._before: dict[str, tuple[int, str]] = {}
        self._unusable: set[str] = set()

    def scan(self) -> None:
        """Lists the files that match the patterns now. Each has its first matching pattern."""
        listed: dict[str, T] = {}
        for order, pattern in enumerate(self._patterns):
            try:
                matches = files.expand(pattern)
                if self._are_sources:  # pieces of an archive become one file
                    matches = [archive.info for archive in archives.gather(matches)]
            except FileNotFoundError:
                continue  # nothing has arrived
            for file in matches:
                if self._is_unusable(file.uri):
                    continue
                listed.setdefault(file.uri, self._kind(file.uri, order, file.size, file.version))
        self.listed = listed

    def notice(self, uri: str) -> bool:
        """Handles a notification about a file. Returns whether the file matches a pattern."""
        order = order_of(uri, self._patterns)
        if order is None or self._is_unusable(uri):
            return False
        self.listed.pop(uri, None)
        found = [file] if (file := files.file_at(uri)) else []
        if self._are_sources:
            found = [archive.info for archive in archives.gather(found)]
        for one in found:
            self.listed[one.uri] = self._kind(one.uri, order, one.size, one.version)
        return True

    def _is_unusable(self, uri: str) -> bool:
        fault = name_fault(uri)
        if fault and uri not in self._unusable:
            self._unusable.add(uri)
            _LOG.warning("%s: left out: %s", one_line(uri), fault)
        return fault is not None

    def mark_done(self, uri: str, content: tuple[int, str]) -> None:
        """Records that a version is in the dataset, so that it is not let in again."""
        self._known[uri] = content
        working = self.working.get(uri)
        if working and working.file.content == content:
            del self.working[uri]

    def requeue(self, file: T, now: float) -> None:
        """Lets a version that is in the dataset in once more, when it is not being processed."""
        self.queue.setdefault(file.uri, (file, now))

    def update(self, now: float) -> None:
        """Queues the listed files that are new and complete, and drops the files that are gone."""
        for uri, file in self.listed.items():
            # A file on a disk is visible while it is written, so two listings must agree on its
            # size and version. An object is visible only when it is complete.
            complete = "://" in uri or self._before.get(uri) == file.content
            if self._known.get(uri) != file.content and complete:
                self._known[uri] = file.content
                self.queue[uri] = (file, self.queue.get(uri, (file, now))[1])
        self._before = {uri: file.content for uri, file in self.listed.items()}
        for uri in {*self.queue, *self.working} - self.listed.keys():
            self.queue.pop(uri, None)
            self.working.pop(uri, None)
            self._known.pop(uri, None)  # a later version is new

    def unsettled(self) -> int:
        """Returns how many of the listed files may still grow."""
        return sum(self._known.get(uri) != one.content for uri, one in self.listed.items())

    def release(self, at: float, mark: float) -> list[T]:
        """Lets files in now (`at`), as many as the limits allow.

        Everything that was let in before `mark` has been processed. Both are the graph's time.
        """
        busy = [one.file.size for one in self.working.values() if one.at >= mark]
        held, count = sum(busy), len(busy)
        out = []
        for uri, (file, seen) in list(self.queue.items()):
            working = self.working.get(uri)
            if working and working.file.content == file.content:
                continue  # otherwise the results of one could be taken for those of the other
            too_much = self._max_bytes is not None and held + file.size > self._max_bytes
            if count and (too_much or count >= MAX_FILES):
                break
            held, count = held + file.size, count + 1
            del self.queue[uri]
            self.working[uri] = Released(file, at, seen)
            out.append(file)
        return out

    def unprocessed(self, mark: float) -> int:
        """Returns how many files are still being processed."""
        return sum(one.at >= mark for one in self.working.values())

    def oldest(self) -> float | None:
        """Returns when the file was seen that has waited longest to get into the dataset."""
        seen = [seen for _, seen in self.queue.values()]
        seen += [one.seen for one in self.working.values()]
        return min(seen, default=None)


def order_of(uri: str, patterns: Sequence[str]) -> int | None:
    """Returns the index of the first pattern that matches a file's URI, or None.

    >>> order_of("gs://b/in/a.json", ["gs://b/other/*", "gs://b/in/*.json"])
    1
    >>> order_of("gs://b/in/deep/a.json", ["gs://b/in/*.json"])
    >>> order_of("gs://b/in/._a.json", ["gs://b/in/*.json"])
    """
    return next((order for order, one in enumerate(patterns) if fits(uri, one)), None)
