"""Signals as values that a loop waits for, instead of handlers that interrupt it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterator
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WATCHED = (*ENDING, signal.SIGUSR1, signal.SIGCHLD)

Wait = Callable[["float | None"], "list[int]"]


@contextlib.contextmanager
def received() -> Iterator[Wait]:
    """Collects the watched signals while the block lasts. For the main thread only.

    Yields:
        A function that waits for a signal, for this many seconds or without a limit, and returns
        the numbers of those that came, in order.
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    before = {number: signal.getsignal(number) for number in WATCHED}
    for number, handler in before.items():
        # nohup and background shells have SIGINT and SIGHUP ignored, which stays so.
        if handler is not signal.SIG_IGN or number not in ENDING:
            signal.signal(number, _nothing)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait(seconds: float | None) -> list[int]:
        select.select([reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            return list(os.read(reader, 4096))  # Python writes one byte for each signal: its number
        return []

    try:
        yield wait
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _nothing(number: int, frame: FrameType | None) -> None:
    """The byte in the pipe is enough."""
