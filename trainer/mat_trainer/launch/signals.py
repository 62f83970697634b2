"""Signals to this process as values that a loop waits for, instead of code that runs in between."""

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
        A function that waits so many seconds, or for ever, for at least one signal, and returns the
        numbers of those that came, in their order.
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    before = {number: signal.getsignal(number) for number in WATCHED}
    for number, handler in before.items():
        # nohup and shells in the background ask that the interrupt and the hang-up be ignored.
        if handler is not signal.SIG_IGN or number not in ENDING:
            signal.signal(number, _nothing)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait(seconds: float | None) -> list[int]:
        select.select([reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            return list(os.read(reader, 4096))  # Python writes a byte a signal: its number
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
    """The byte in the pipe is all that is wanted."""
