"""The progress of a step: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

BYTES = "bytes"
ROWS = "rows"
LINE_SECONDS = 10.0

Advance = Callable[[int], None]
"""Takes how much more is done. May be called from several threads."""

Show = Callable[[str, int, str], AbstractContextManager[Advance]]
"""Shows a step until its block ends. Takes its name, the total, and `BYTES` or `ROWS`."""


def shown(label: str, total: int, unit: str) -> AbstractContextManager[Advance]:
    """Shows a step on standard error; see `Show`."""
    show = bar if sys.stderr.isatty() else lines
    return show(label, total, unit)


@contextlib.contextmanager
def silent(label: str, total: int, unit: str) -> Iterator[Advance]:  # noqa: ARG001 as `Show` has it
    """Shows nothing; see `Show`."""
    yield lambda more: None  # noqa: ARG005 as `Advance` has it


@contextlib.contextmanager
def bar(label: str, total: int, unit: str) -> Iterator[Advance]:
    """Draws a bar; see `Show`."""
    counts = (DownloadColumn(), TransferSpeedColumn()) if unit == BYTES else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description:<16}"), BarColumn(), *counts, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)
        yield lambda more: progress.advance(task, more)


@contextlib.contextmanager
def lines(
    label: str,
    total: int,
    unit: str,
    *,
    out: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Advance]:
    """Writes a line every `LINE_SECONDS` and one at the end; see `Show`."""
    stream = out or sys.stderr
    lock = threading.Lock()
    done = 0
    last = clock()

    def advance(more: int) -> None:
        nonlocal done, last
        with lock:
            done += more
            if clock() - last >= LINE_SECONDS:
                last = clock()
                stream.write(line(label, done, total, unit) + "\n")

    yield advance
    stream.write(line(label, done, total, unit) + "\n")


def line(label: str, done: int, total: int, unit: str) -> str:
    """One line for a log.

    >>> line("Staging", 1_500_000, 3_000_000, BYTES)
    'Staging: 1.5 of 3.0 MB, 50%'
    >>> line("Measuring", 40, 40, ROWS)
    'Measuring: 40 of 40 rows, 100%'
    """
    share = f"{100 * done // total if total else 100}%"
    if unit == BYTES:
        return f"{label}: {done / 1e6:,.1f} of {total / 1e6:,.1f} MB, {share}"
    return f"{label}: {done:,} of {total:,} {unit}, {share}"
