"""The members of an archive, in little memory, until all of its directory has been read."""

from array import array
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec
import numpy as np

T = TypeVar("T")


class MemberIndex(Generic[T]):
    """Members with their offsets, in the order of the directory.

    A member takes the bytes of its path and its numbers, and 24 bytes more. Objects would take ten
    times that, and an archive can have millions.
    """

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.msgpack.Decoder(tuple[str, kind])  # type: ignore[valid-type]
        self._encoder = msgspec.msgpack.Encoder()
        self._data = bytearray()
        self._starts = array("Q")
        self._offsets = array("Q")
        self._hashes = array("q")

    def add(self, offset: int, path: str | None, value: T | None = None) -> None:
        """Adds what is at an offset: a member, or something else if `path` is None."""
        self._offsets.append(offset)
        self._starts.append(len(self._data))
        self._hashes.append(0 if path is None else hash(path))
        if path is not None:
            self._data += self._encoder.encode((path, value))

    def __len__(self) -> int:
        return len(self._offsets)

    def in_order(self, end: int) -> Iterator[tuple[str, int, int, T]]:
        """Yields path, offset, offset of the next entry (`end` for the last) and value, by offset.

        Of members with the same path only the last one that was added is yielded.
        """
        offsets = np.frombuffer(self._offsets, np.uint64)
        replaced = self._replaced()
        order = np.argsort(offsets, kind="stable")
        for number, at in enumerate(map(int, order)):
            found = None if at in replaced else self._value(at)
            if found:
                behind = int(offsets[order[number + 1]]) if number + 1 < len(order) else end
                yield found[0], int(offsets[at]), behind, found[1]

    def _value(self, at: int) -> tuple[str, T] | None:
        """The path and the value of what was added as number `at`; None if it is no member."""
        end = self._starts[at + 1] if at + 1 < len(self._starts) else len(self._data)
        data = memoryview(self._data)[self._starts[at] : end]
        return self._decoder.decode(data) if data else None

    def _replaced(self) -> set[int]:
        """The positions of members for which a later one has the same path."""
        hashes = np.frombuffer(self._hashes, np.int64)
        order = np.argsort(hashes, kind="stable")
        same = hashes[order[1:]] == hashes[order[:-1]]
        groups = np.flatnonzero(same)
        replaced = set[int]()
        last: dict[str, int] = {}
        before = None
        for group in groups:
            first, second = int(order[group]), int(order[group + 1])
            if before != first:
                last = {}
            for at in (second,) if before == first else (first, second):
                if found := self._value(at):
                    if found[0] in last:
                        replaced.add(last[found[0]])
                    last[found[0]] = at
            before = second
        return replaced
