"""Waits for a cluster, never for ever."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def until(condition: Callable[[], bool], what: str, limit: float = 90) -> None:
    """Returns when the condition holds; fails after so many seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


def job(number: str) -> str:
    """What Slurm knows of a job, in one line."""
    return slurm("scontrol", "--oneliner", "show", "job", number)


def ended(number: str, limit: float = 90) -> tuple[str, str]:
    """The job's state and exit code, once it has ended."""
    until(lambda: _state(number) in ENDED, f"job {number} to end", limit)
    return _state(number), re.findall(r" ExitCode=(\S+)", job(number))[0]


def slurm(*words: str) -> str:
    """Runs one of Slurm's programs."""
    return subprocess.run(
        words, capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.DEVNULL
    ).stdout


def _state(number: str) -> str:
    return str(re.findall(r"JobState=(\w+)", job(number))[0])
