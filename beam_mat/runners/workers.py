"""Watches the worker processes of the in-process runner while a job runs.

Apache Beam starts them and waits for their answers. If one is killed, by a person or by a system
that is short of memory, Beam may wait forever.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from beam_mat.core.errors import BeamMatError, WorkerLostError

GRACE_SECONDS = 5.0
"""How long to wait for Beam to notice."""

SIGNALLED = 128
"""Shells report a signal as this exit code or a higher one; Python as a negative code."""

_EXIT_CODE = re.compile(r"-?\d+$")
_THREAD = "run_worker"
"""The name of the threads in which Beam waits for the end of a worker process."""


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Ends the block if a worker process dies.

    Raises:
        WorkerLostError: One has died, whatever Beam reports.
    """
    deaths: list[str] = []
    alarm = threading.Timer(GRACE_SECONDS, _wake)
    alarm.daemon = True
    others_hook = threading.excepthook

    def hook(found: Any) -> None:
        if found.thread is None or not found.thread.name.startswith(_THREAD):
            others_hook(found)
            return
        code = _EXIT_CODE.search(str(found.exc_value))
        # A worker that ends on its own has reported why.
        if code and not 0 <= int(code[0]) < SIGNALLED and not deaths:
            deaths.append(str(found.exc_value))
            alarm.start()

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise _lost(deaths)

    wakes = hasattr(signal, "pthread_kill") and (
        threading.current_thread() is threading.main_thread()
    )
    others_handler = signal.signal(signal.SIGUSR1, stop) if wakes else None
    threading.excepthook = hook
    try:
        yield
    except Exception as error:
        if deaths and not isinstance(error, BeamMatError):
            raise _lost(deaths) from error
        raise
    finally:
        alarm.cancel()
        threading.excepthook = others_hook
        if wakes:
            signal.signal(signal.SIGUSR1, others_handler)


def _wake() -> None:
    # Beam would wait for the others to end cleanly, and one that has just started never does.
    for pid in _descendants():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ident = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and ident is not None:
        signal.pthread_kill(ident, signal.SIGUSR1)


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


def _lost(deaths: list[str]) -> WorkerLostError:
    return WorkerLostError(
        f"a worker process died ({deaths[0]}); see whether memory ran out (fewer "
        "--direct_num_workers need less), and run the same command again, which resumes"
    )
