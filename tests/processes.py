"""Finds and ends processes that outlive the program that started them."""

from __future__ import annotations

import contextlib
import uuid

import psutil

MARK = "BEAM_MAT_TEST_MARK"


def mark() -> dict[str, str]:
    """Returns an environment variable that marks a process and its children."""
    return {MARK: uuid.uuid4().hex}


def running(marked: dict[str, str]) -> list[psutil.Process]:
    """Returns the marked processes."""
    return [process for process in psutil.process_iter() if _carries(process, marked[MARK])]


def survivors(marked: dict[str, str]) -> list[str]:
    """Waits, and returns the command lines of marked processes that are still running."""
    _, alive = psutil.wait_procs(running(marked), timeout=10)
    return [" ".join(process.cmdline()) for process in alive]


def end(marked: dict[str, str]) -> None:
    """Ends all marked processes that are still running."""
    for process in running(marked):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(10)


def _carries(process: psutil.Process, value: str) -> bool:
    try:
        return bool(process.environ().get(MARK) == value)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
