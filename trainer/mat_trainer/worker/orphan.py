"""Ends a rank whose launcher has been killed, so that it does not write to a folder of others."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from mat_trainer.core.control import LAUNCHER

SECONDS = 2.0


def end_with_launcher() -> None:
    """From now on, this process is killed soon after its launcher has ended.

    A launcher that ends in order ends its ranks itself. torchrun, which is between the two, ends
    when they do.
    """
    pid = os.environ.get(LAUNCHER)
    if pid is None or sys.platform != "linux":
        return
    born = _born(int(pid))
    threading.Thread(target=_watch, args=(int(pid), born), name="orphan", daemon=True).start()


def _watch(pid: int, born: str) -> None:
    while _born(pid) == born != "":
        time.sleep(SECONDS)
    sys.stderr.write(f"mat-trainer: the launcher, process {pid}, has ended, so training ends too\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def _born(pid: int) -> str:
    """When a process began, in the kernel's count; empty if it has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return ""
    return "" if words[0] in (b"Z", b"X") else words[19].decode()
