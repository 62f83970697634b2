"""Reads the generations of a dataset from its folder ``generations/``, wherever it is stored.

`manifest.json` shows the newest generation only, and may be behind it for a moment.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile

from mat_trainer.core import generation as core
from mat_trainer.core import manifest as manifests
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.generation import REPLACED, Commit, Snapshot
from mat_trainer.dataset.source import HIDDEN, Source

_READS = 16


def newest(source: Source, known: int = 0) -> int:
    """The number of the newest generation; 0 if there is none.

    Args:
        source: The dataset.
        known: A generation that exists, such as the manifest's; 0 if none is known.

    Raises:
        UnreachableError: The dataset cannot be reached.
    """
    commits, _ = core.numbers(source.names(core.FOLDER))
    # The numbers have no gaps, so that a store which cannot list can be searched.
    return max(commits) if commits else _last(lambda number: _has(source, number), known)


def read(source: Source, number: int) -> Snapshot:
    """The dataset at a generation.

    Raises:
        ConfigError: The generation does not exist, or files of ``generations/`` do not fit.
        UnreachableError: The dataset cannot be reached.
    """
    commits, checkpoints = core.numbers(source.names(core.FOLDER))
    if not commits:
        commits, checkpoints = _search(source, number)
    start = max((at for at in checkpoints if at <= number), default=0)
    if number not in commits and number != start:
        raise ConfigError(_absent(source, number))
    numbers = list(takewhile(commits.__contains__, range(number, start, -1)))[::-1]
    files = [(at, core.name(at)) for at in numbers]
    if start and len(numbers) == number - start:
        files.insert(0, (start, core.checkpoint_name(start)))
    with ThreadPoolExecutor(_READS, thread_name_prefix="generations") as pool:
        history = list(pool.map(lambda file: _commit(source, *file), files))
    begin = max((at for at, commit in enumerate(history) if not commit.previous), default=None)
    if begin is None:
        raise ConfigError(_missing(source, core.name(number - len(numbers))))
    return core.fold(history[begin:])


def lineage(source: Source, number: int) -> str:
    """The lineage that a commit names; empty if ``generations/`` cannot be read."""
    try:
        return _commit(source, number, core.name(number)).lineage
    except ConfigError:
        return ""


def _commit(source: Source, number: int, path: str) -> Commit:
    data = source.find(path, HIDDEN)
    if data is None:
        raise ConfigError(_missing(source, path))
    return core.parse(data, path, number)


def _missing(source: Source, path: str) -> str:
    return f"{source.uri}: {path} is missing; restore it, or convert again"


def _search(source: Source, number: int) -> tuple[set[int], set[int]]:
    """As `core.numbers`, down from `number` to the next checkpoint, for stores that cannot list."""
    commits: set[int] = set()
    checkpoints: set[int] = set()
    with ThreadPoolExecutor(_READS, thread_name_prefix="generations") as pool:
        for high in range(number, 0, -_READS):
            batch = range(max(1, high - _READS + 1), high + 1)
            there = pool.map(lambda at: _has(source, at), batch)
            found = {at for at, is_there in zip(batch, there, strict=True) if is_there}
            marks = pool.map(lambda at: source.has(core.checkpoint_name(at)), batch)
            checkpoints |= {at for at, is_there in zip(batch, marks, strict=True) if is_there}
            commits |= found
            if checkpoints or not found:
                break
    return commits, checkpoints


def _absent(source: Source, number: int) -> str:
    try:
        known = manifests.parse(source.find(manifests.NAME) or b"").generation
    except ConfigError:
        known = 0
    commits, _ = core.numbers(source.names(core.FOLDER))
    last = newest(source, known)
    if not last:
        return (
            f"{source.uri}@{number}: this dataset has no generations; check the address, or leave "
            f"out @{number}"
        )
    reach = _last(lambda back: back < last and _has(source, last - back), 0)
    first = min(commits, default=last - reach)
    kept = f"generation {last} alone is" if first == last else f"generations {first} to {last} are"
    why = "this generation was removed" if number < first else "there is no such generation"
    return (
        f"{source.uri}@{number}: {why}; {kept} kept: pass one of these, or @latest for the newest"
    )


def _last(holds: Callable[[int], bool], low: int) -> int:
    """The last number from `low` on up to which `holds` is true for every number after `low`."""
    step = 1
    while holds(low + step):
        low, step = low + step, 2 * step
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _has(source: Source, number: int) -> bool:
    return source.has(core.name(number))


class PartSource(Source):
    """A dataset's files, where parts that a later generation replaced have moved."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._moved: set[str] = set()

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """As in `Source`. The file may move while it is read, and back."""
        moved = f"{REPLACED}/{path}"
        for place in (moved, path) if path in self._moved else (path, moved, path):
            with contextlib.suppress(FileNotFoundError):
                data = super().read_range(place, start, end)
                if place == moved:
                    self._moved.add(path)
                return data
        raise FileNotFoundError(path)
