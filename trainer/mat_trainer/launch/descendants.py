"""All descendants of this process, however they were started.

torchrun starts each rank in a session of its own, so that a signal to the process group does not
reach it, and ranks survive when torchrun is killed. On Linux this process can become the parent of
such orphans, so that they stay its descendants.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Collection
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_PROC = Path("/proc")


def adopt_orphans() -> None:
    """Makes this process the parent of its orphaned descendants, from now on.

    Raises:
        OSError: The kernel refused.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def living(besides: Collection[int] = ()) -> list[int]:
    """The descendants that run, without `besides` and theirs. Empty if there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            state, parent = _state(entry)
            if state not in "ZX":  # the children of an ended process are ours by now
                children.setdefault(parent, []).append(int(entry.parent.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = [pid for pid in children.get(waiting.pop(), []) if pid not in besides]
        found.extend(below)
        waiting.extend(below)
    return found


def signal_all(pids: Collection[int], number: int) -> None:
    """Sends a signal to each process that still exists."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def bury(besides: Collection[int] = ()) -> None:
    """Reaps the children that have ended, so that no zombies stay.

    Args:
        besides: Children that other code waits for.
    """
    for entry in _PROC.glob("[0-9]*/stat"):
        pid = int(entry.parent.name)
        with contextlib.suppress(OSError):
            state, parent = _state(entry)
            if state == "Z" and parent == os.getpid() and pid not in besides:
                os.waitpid(pid, os.WNOHANG)


def _state(stat: Path) -> tuple[str, int]:
    """The letter of a process's state, and its parent."""
    # "pid (any name) state parent ...": the name may hold blanks and parentheses.
    state, parent = stat.read_bytes().rpartition(b")")[2].split()[:2]
    return state.decode(), int(parent)
