"""Works on many files at a time, and collects their faults."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mat_trainer.dataset.entry import File
from mat_trainer.dataset.ledger import Ledger
from mat_trainer.dataset.progress import BYTES, Advance, Show

T = TypeVar("T")
Work = Callable[[File, Advance, threading.Event], "str | None"]
"""Handles a file and returns its fault, if it has one. May set the event to stop the others."""


LIMIT = 20
"""How many are kept; more of them say the same."""


class Faults:
    """Collects faults, one sentence each. Several threads may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: list[str] = []
        self.count = 0

    def add(self, fault: str) -> None:
        """Adds a fault."""
        with self._lock:
            self.count += 1
            if self.count <= LIMIT:
                self._first.append(fault)

    def sentences(self) -> list[str]:
        """The first faults, sorted, and how many more there are."""
        with self._lock:
            more = self.count - len(self._first)
            return sorted(self._first) + ([f"and {more:,} more like these"] if more else [])


def each(
    items: Iterable[T], work: Callable[[T], None], threads: int, stop: threading.Event
) -> None:
    """Does `work` on every item, on this many threads, until all are done or `stop` is set.

    An error in one thread stops the others and is raised, as an interrupt is.
    """
    source = iter(items)
    lock = threading.Lock()

    def loop() -> None:
        try:
            while not stop.is_set():
                with lock:
                    item = next(source, None)
                if item is None:
                    return
                work(item)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(threads, thread_name_prefix="files") as pool:
        running = [pool.submit(loop) for _ in range(threads)]
        try:
            for thread in running:
                thread.result()
        except BaseException:
            stop.set()
            raise


def each_file(
    label: str, files: Sequence[File], work: Work, threads: int, ledger: Ledger, show: Show
) -> Faults:
    """Does `work` on every file, shows the progress, and collects the faults.

    Args:
        label: Name of the step, for the progress.
        files: What to work on.
        work: Called for each file.
        threads: How many files at a time.
        ledger: Saved at the end, also after an interrupt.
        show: Shows the progress.
    """
    faults, stop = Faults(), threading.Event()
    with show(label, sum(file.bytes for file in files), BYTES) as advance:

        def one(file: File) -> None:
            if fault := work(file, advance, stop):
                faults.add(fault)

        try:
            each(files, one, threads, stop)
        finally:
            ledger.save()
    return faults
