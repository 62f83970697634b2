"""Reads the generations of a dataset from its ``generations/`` alone, wherever it lies.

`manifest.json` follows the newest generation and may be behind it, or ahead of what is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from mat_trainer.core import generation as core
from mat_trainer.core.errors import ConfigError, UnreachableError
from mat_trainer.core.generation import REPLACED, Generation, Whole
from mat_trainer.dataset.source import Source, told

T = TypeVar("T")

_READS = 16


def newest(source: Source, known: int = 0) -> int:
    """The number of the newest generation; 0 where there is none.

    Nothing is listed, which web servers cannot and some credentials may not: numbers have no gaps.

    Args:
        source: The dataset.
        known: One that is known to be there, as the manifest says it.

    Raises:
        UnreachableError: The dataset cannot be reached.
    """
    step = 1
    low = known
    while _has(source, low + step):
        low, step = low + step, 2 * step
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _has(source, middle) else (low, middle)
    return low


def read(source: Source, number: int) -> Whole:
    """What a generation holds.

    Raises:
        ConfigError: It is not there, or the files do not fit together.
        UnreachableError: The dataset cannot be reached.
    """
    data = _read(source, core.name(number))
    if data is None:
        raise ConfigError([_absent(source, number)])
    last = core.parse(data, core.name(number), number)
    history, since = _snapshot(source, number)
    history += _between(source, since + 1, number - 1)
    if since < number:
        history.append(last)
    parts, tables = core.fold(history)
    manifest = msgspec.structs.replace(core.manifest(parts, data), generation=number)
    first = data if number == 1 else _read(source, core.name(1))
    return Whole(number, manifest, tables, hashlib.sha256(first or b"").hexdigest())


def _snapshot(source: Source, number: int) -> tuple[list[Generation], int]:
    """The newest snapshot that is there, and the generation that it stands for; 0 for none."""
    for at in core.snapshots(number):
        path = core.snapshot_name(at)
        data = _read(source, path)
        if data is not None:
            return [core.parse(data, path, at)], at
    return [], 0


def _between(source: Source, first: int, last: int) -> list[Generation]:
    numbers = range(first, last + 1)
    with ThreadPoolExecutor(_READS, thread_name_prefix="generations") as pool:
        found = list(pool.map(lambda number: _read(source, core.name(number)), numbers))
    missing = [core.name(number) for number, data in zip(numbers, found, strict=True) if not data]
    if missing:
        raise ConfigError(
            [
                f"{source.uri}: {missing[0]} is missing, though later ones are there: restore it, "
                "or convert again"
            ]
        )
    return [
        core.parse(data, core.name(number), number)
        for number, data in zip(numbers, found, strict=True)
        if data
    ]


def _absent(source: Source, number: int) -> str:
    last = newest(source)
    if not last:
        return (
            f"{source.uri}@{number}: this dataset has no generations, which beam-mat watch writes; "
            "say its address alone"
        )
    there = "is generation 1 alone" if last == 1 else f"are generations 1 to {last}"
    return (
        f"{source.uri}@{number}: there is no such generation; there {there}, and @latest is the "
        "newest"
    )


def _has(source: Source, number: int) -> bool:
    return _reached(source, lambda: source.has(core.name(number)))


def _read(source: Source, path: str) -> bytes | None:
    def read() -> bytes | None:
        try:
            return source.read(path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None  # as in Source.has

    return _reached(source, read)


def _reached(source: Source, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 each driver has errors of its own
        raise UnreachableError(
            [
                f"{source.uri}: cannot be read ({told(error)}); check the address, the network "
                "and the credentials of this machine"
            ]
        ) from None


class PartSource(Source):
    """A watched dataset's files: a part that a later generation replaced has moved."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._moved: set[str] = set()

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """As of any source. It may move while it is read, and back."""
        moved = f"{REPLACED}/{path}"
        places = (moved, path) if path in self._moved else (path, moved, path)
        return self._first(path, places, start, end)

    def _first(self, path: str, places: Iterable[str], start: int, end: int) -> bytes:
        for place in places:
            try:
                data = super().read_range(place, start, end)
            except FileNotFoundError:
                continue
            if place != path:
                self._moved.add(path)
            return data
        raise FileNotFoundError(path)
