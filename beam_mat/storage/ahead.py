"""Several requests on the way at once: the time that a store takes to answer is not waited for."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

REQUESTS = 16
"""On the way at once, for one reader."""

BYTES = 32 << 20
"""Asked for at once, for one reader, if that is more than one request."""

THREADS = 32


def ahead(calls: Iterable[tuple[int, Callable[[], T]]]) -> Iterator[T]:
    """Makes calls in threads, before their results are asked for, and yields these in order.

    Args:
        calls: Each with the bytes that its result will take.
    """
    pending: deque[tuple[int, Future[T]]] = deque()
    held = 0
    try:
        for size, call in calls:
            while pending and (len(pending) == REQUESTS or held + size > BYTES):
                first, future = pending.popleft()
                yield future.result()
                held -= first
            pending.append((size, pool().submit(call)))
            held += size
        while pending:
            yield pending.popleft()[1].result()
    finally:
        for _, future in pending:
            future.cancel()


@functools.cache
def pool() -> ThreadPoolExecutor:
    """Threads that wait for stores, shared by all readers and writers of a process."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="store")
