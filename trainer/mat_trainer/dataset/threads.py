"""Work on many files at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def each(
    items: Iterable[T], work: Callable[[T], None], threads: int, stop: threading.Event
) -> None:
    """Does `work` on every item, on so many threads, until all are done or `stop` is set.

    An error in one thread stops the others and is raised; so does an interrupt.
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
