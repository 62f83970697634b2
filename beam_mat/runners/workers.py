"""Ends a job when a process that it needs is killed, because Beam may wait for it forever.

A process may be killed by a person, or by a system that is short of memory.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from beam_mat.core.errors import BeamMatError, WorkerLostError

GRACE_SECONDS = 5.0
"""How long to wait for Beam to notice."""

_EXIT_CODE = re.compile(r"-?\d+$")
_SIGNALLED = 128
"""Shells report a signal as this exit code or a higher one; Python as a negative code."""


@contextlib.contextmanager
def interruptible(error: Callable[[], BeamMatError]) -> Iterator[Callable[[], None]]:
    """Yields a function by which another thread ends the block: it raises `error()` there.

    The function does nothing outside of the main thread, and on systems without such signals.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not (in_main and hasattr(signal, "pthread_kill")):
        yield lambda: None
        return

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise error()

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        yield functools.partial(signal.pthread_kill, threading.get_ident(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


@contextlib.contextmanager
def thread_failures(handled: Callable[[Any], bool]) -> Iterator[None]:
    """Keeps an exception that ends a thread from being printed, if `handled` returns True for it.

    `handled` is called with the arguments of `threading.excepthook`.
    """
    before = threading.excepthook

    def hook(failure: Any) -> None:
        if not handled(failure):
            before(failure)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Raises a WorkerLostError in the block if a worker process of the in-process runner dies."""
    deaths: list[str] = []

    def lost() -> WorkerLostError:
        return WorkerLostError(
            f"a worker process died ({deaths[0]}); see whether memory ran out (fewer "
            "--direct_num_workers need less), and run the same command again, which resumes"
        )

    def handled(failure: Any) -> bool:
        # In threads of this name, Beam waits for the end of a worker process.
        if failure.thread is None or not failure.thread.name.startswith("run_worker"):
            return False
        code = _EXIT_CODE.search(str(failure.exc_value))
        # A worker that ends on its own has reported why.
        if code and not 0 <= int(code[0]) < _SIGNALLED and not deaths:
            deaths.append(str(failure.exc_value))
            alarm.start()
        return True

    def end() -> None:
        # Beam would wait for the others to end cleanly, and one that has just started never does.
        for pid in _descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        interrupt()

    alarm = threading.Timer(GRACE_SECONDS, end)
    alarm.daemon = True
    with interruptible(lost) as interrupt, thread_failures(handled):
        try:
            yield
        except Exception as error:
            if deaths and not isinstance(error, BeamMatError):
                raise lost() from error
            raise
        finally:
            alarm.cancel()


def _descendants() -> list[int]:
    """Processes that this one started, directly or not; none if the system does not list them."""
    children = defaultdict[int, list[int]](list)
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            # The name of the program is in brackets and may contain anything.
            parent = status.read_text().rpartition(")")[2].split()[1]
            children[int(parent)].append(int(status.parent.name))
    found = [os.getpid()]
    for pid in found:
        found += children[pid]
    return found[1:]
