"""Sends several requests to a store at once instead of one after another."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

REQUESTS = 16
"""Maximum number of concurrent requests of one reader."""

BYTES = 32 << 20
"""Maximum number of bytes that one reader requests at once. One larger request is allowed."""

THREADS = 32


def prefetch(calls: Iterable[tuple[int, Callable[[], T]]]) -> Iterator[T]:
    """Makes calls in threads before their results are needed, and yields the results in order.

    A call comes with the expected number of bytes of its result.
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
    """Returns the threads that wait for stores, which all readers and writers share."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="store")
