"""Worker processes of the in-process runner, watched while a job runs.

Apache Beam starts them and waits for their answers, at some moments for ever when one was killed:
by a person, or by a system that is short of memory.
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
"""How long Beam is given to notice by itself."""

SIGNALLED = 128
"""From this exit code on a shell tells of a signal; Python tells of one by a negative code."""

_EXIT_CODE = re.compile(r"-?\d+$")
_THREAD = "run_worker"
"""Name of the threads in which Beam waits for a worker process's end."""


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Ends the block when a worker process has died.

    Raises:
        WorkerLostError: One has; whatever Beam makes of it.
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
        # A worker that ends by itself has told its driver why.
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
    # Beam would wait for the others to end in good order, which one that has just started does not.
    for pid in _descendants():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ident = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and ident is not None:
        signal.pthread_kill(ident, signal.SIGUSR1)


def _descendants() -> list[int]:
    """Processes that this one has started, directly or not; none where the system does not tell."""
    children = defaultdict[int, list[int]](list)
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            # The name of the program is in brackets and may hold anything.
            parent = status.read_text().rpartition(")")[2].split()[1]
            children[int(parent)].append(int(status.parent.name))
    found = [os.getpid()]
    for pid in found:
        found += children[pid]
    return found[1:]


def _lost(deaths: list[str]) -> WorkerLostError:
    return WorkerLostError(
        f"a worker process died ({deaths[0]}); see whether memory ran out, and run the same "
        "command again, which goes on from here; --direct_num_workers says how many there are"
    )
