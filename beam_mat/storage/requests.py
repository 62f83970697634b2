"""Sends several requests to a store at once, and repeats them after transient errors."""

import functools
import json
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from beam_mat.core.credentials import text_without_credentials
from beam_mat.core.errors import BeamMatError, StoreError

T = TypeVar("T")

REQUESTS = 16
"""Maximum number of concurrent requests of one reader."""

BYTES = 32 << 20
"""Maximum number of bytes that one reader requests at once. One larger request is allowed."""

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.25
"""Pause before the second attempt. It doubles each time and is varied randomly by half."""

LIMIT_SECONDS = 60.0
"""No attempt begins later than this after the first one. The drivers have their own retries, up to
half a minute per attempt, and the runner repeats the whole unit of work."""

_ANSWERS = (BeamMatError, FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""Answers, not failures: the caller gets them unchanged."""

_LASTING = (
    *_ANSWERS,
    PermissionError,
    # Mistakes in this package or in the driver.
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    TypeError,
    ValueError,
    Warning,
)
_PASSING_STATUS = (408, 425, 429)

_log = logging.getLogger(__name__)


class ShortBodyError(OSError):
    """An answer is shorter than the range that was requested."""


def passes(error: Exception) -> bool:
    """Whether another attempt may succeed: not if the store has refused the request."""
    # A listing that was cut off during the transfer is not valid JSON.
    if isinstance(error, json.JSONDecodeError):
        return True
    # gcsfs has no exception type for status 403.
    if isinstance(error, _LASTING) or str(error).startswith("Forbidden:"):
        return False
    status = _status(error)
    return status is None or status >= 500 or status in _PASSING_STATUS


def _status(error: Exception) -> int | None:
    # gcsfs has `code`, aiohttp has `status`; httpx and requests attach the response.
    for found in (error, getattr(error, "response", None)):
        for name in ("code", "status", "status_code"):
            number = getattr(found, name, None)
            if str(number).isdigit():
                return int(str(number))
    return None


def insist(uri: str, call: Callable[[], T]) -> T:
    """Repeats a call until it succeeds, or raises one of `_ANSWERS`, which the caller gets.

    Raises a StoreError if the call failed `ATTEMPTS` times, or for `LIMIT_SECONDS`, or if the store
    refused it.
    """
    begin = time.monotonic()
    pause = FIRST_PAUSE_SECONDS
    number = 0
    while True:
        number += 1
        try:
            return call()
        except Exception as error:  # drivers raise the errors of their libraries
            whole = f"{type(error).__name__}: {error}".rstrip(": ")
            # The hub redirects its clients to signed addresses. An error that quotes one must not
            # appear as the cause either.
            said = text_without_credentials(whole)
            cause = cause_of(error)
            if not passes(error):
                of_driver = isinstance(error, OSError) or type(error).__module__ != "builtins"
                if isinstance(error, _ANSWERS) or not of_driver:
                    raise
                raise StoreError(
                    f"{uri}: the store refused the request: {said}; "
                    "check the permissions and credentials"
                ) from cause
            if number == ATTEMPTS or time.monotonic() - begin > LIMIT_SECONDS:
                raise StoreError(
                    f"{uri}: the store failed {number} times; the last error is {said}; "
                    "check its status, your credentials and the network, then run the command again"
                ) from cause
            _log.info("%s: attempt %d failed with %s", uri, number, said)
        time.sleep(pause * random.uniform(0.5, 1.5))
        pause *= 2


def cause_of(error: Exception) -> Exception | None:
    """The error for use as a cause, or None if its text has a credential."""
    return error if text_without_credentials(str(error)) == str(error) else None


def results(calls: Iterable[tuple[int, Callable[[], T]]], near: bool = False) -> Iterator[T]:
    """Makes calls, and yields their results in order. Each has the expected bytes of its result.

    Unless the store is `near`, they are made in threads before their results are needed.
    """
    if near:
        yield from (call() for _, call in calls)
        return
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
    """The threads that wait for stores, which all readers and writers share."""
    return ThreadPoolExecutor(32, thread_name_prefix="store")
