"""Programs started by a launcher of their own, waited for and counted."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

from tests.forking import MARK, name

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 600.0  # another process may train meanwhile
LAUNCHER = """
import json, signal, sys
from pathlib import Path
from mat_trainer.launch.process import run
words = json.loads(sys.argv[1])
for number in (signal.SIGINT, signal.SIGHUP):  # a shell in the background has them ignored
    signal.signal(number, signal.SIG_IGN if number in words["ignored"] else signal.SIG_DFL)
show = Path(words["show"]) if words["show"] else None
sys.exit(run(words["command"], words["environment"], show=show, grace=words["grace"]))
"""

Found = TypeVar("Found")


class Launched:
    """A launcher, and every process below it, however it was started."""

    def __init__(self, process: subprocess.Popen[str], mark: str) -> None:
        self.process = process
        self._mark = mark

    def below(self) -> list[psutil.Process]:
        """What lives of what it started."""
        found = [other for other in psutil.process_iter() if self._started(other)]
        return [other for other in found if other.pid != self.process.pid]

    def _started(self, other: psutil.Process) -> bool:
        try:
            return bool(
                other.status() != psutil.STATUS_ZOMBIE
                and (
                    other.name().startswith(name(self._mark))
                    or other.environ().get(MARK) == self._mark
                )
            )
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def ranks(self) -> dict[int, psutil.Process]:
        """The processes that torchrun started and that live, by rank."""
        found = {}
        for process in self.below():
            own, _, rank = process.name().partition(".")
            if own != name(self._mark).partition(".")[0]:  # it is no fork: it has an environment
                rank = process.environ().get("RANK", "")
            if rank:
                found[int(rank)] = process
        return found

    def ended(self) -> tuple[int, str, str]:
        """Its exit code, its output, its errors."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@contextlib.contextmanager
def launched(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    show: Path | None = None,
    grace: float = 30.0,
    ignored: Sequence[int] = (),
) -> Iterator[Launched]:
    """Runs `mat_trainer.launch.process.run` in a process; what it leaves behind is killed.

    Signals that are `ignored` were so before, as nohup and a shell's `&` have it.
    """
    mark = uuid.uuid4().hex
    words = {
        "command": list(command),
        "environment": dict(environment or {}),
        "show": str(show) if show else None,
        "grace": grace,
        "ignored": [int(number) for number in ignored],
    }
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, json.dumps(words)],
        env={**os.environ, MARK: mark, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        started = Launched(process, mark)
        try:
            yield started
        finally:
            process.kill()
            for other in started.below():
                with contextlib.suppress(psutil.NoSuchProcess):
                    other.kill()


def wait_for(look: Callable[[], Found | None]) -> Found:
    """What `look` returns once it returns something true."""
    give_up = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < give_up, f"{look} found nothing in {PATIENCE:.0f} s"
        time.sleep(0.05)
    return found
