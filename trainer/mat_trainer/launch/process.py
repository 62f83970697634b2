"""Runs the training: starts it, forwards signals, and leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mat_trainer.core.control import CONTROL_DIR, EXIT_SAVED, LAUNCHER, SAVE_AND_STOP, STOPPED
from mat_trainer.launch import descendants
from mat_trainer.launch.follow import shown
from mat_trainer.launch.signals import ENDING, Wait, received

GRACE_SECONDS = 30.0
"""Time to end after a signal: as between TERM and KILL in Slurm and Kubernetes."""

_LOOK_SECONDS = 0.2


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    show: Path | None = None,
    grace: float = GRACE_SECONDS,
) -> int:
    """Runs a command in a session of its own until its last process has ended.

    SIGINT, SIGTERM and SIGHUP go to every descendant. Processes that still run after `grace`
    seconds, or at a second such signal, are killed. SIGUSR1 makes the ranks save a checkpoint and
    stop. For the main thread only.

    Args:
        command: Program and arguments.
        environment: Variables to add to this process's environment.
        show: A file, such as rank 0's log, to copy to standard output as it grows.
        grace: Seconds between a signal and the kill.

    Returns:
        The command's exit code, 128 + n if signal n ended it, `EXIT_SAVED` if it saved a checkpoint
        and stopped because of SIGUSR1.

    Raises:
        OSError: The command cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="mat-trainer-") as control, received() as wait:
        descendants.adopt_orphans()
        others = descendants.living()
        with shown(show):
            with _requests_held():
                process = subprocess.Popen(
                    command,
                    env={
                        **os.environ,
                        **environment,
                        CONTROL_DIR: control,
                        LAUNCHER: str(os.getpid()),
                    },
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            with process:
                _Watch(process, Path(control), others, grace).until_the_end(wait)
        if process.returncode == 0 and Path(control, STOPPED).exists():
            return EXIT_SAVED
        return process.returncode if process.returncode >= 0 else 128 - process.returncode


@contextlib.contextmanager
def _requests_held() -> Iterator[None]:
    # SIGUSR1 would end a process without a handler, and Slurm sends it to every process of the job.
    # So a process that starts now begins with the signal blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


@dataclass
class _Watch:
    _process: subprocess.Popen[bytes]
    _control: Path
    _others: list[int]
    _grace: float
    _kill_at: float | None = None

    def until_the_end(self, wait: Wait) -> None:
        while True:
            ended = self._process.poll() is not None
            descendants.bury([self._process.pid, *self._others])
            if ended and not self._living():
                return
            if ended and self._kill_at is None:
                self._end(signal.SIGTERM, "processes that training left behind")
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._send(signal.SIGKILL)
            for number in wait(None if self._kill_at is None else _LOOK_SECONDS):
                self._take(number)

    def _take(self, number: int) -> None:
        if number == signal.SIGUSR1:
            self._control.joinpath(SAVE_AND_STOP).touch()
            _say("SIGUSR1: training will save a checkpoint after this step and stop")
        elif number in ENDING and self._kill_at is None:
            self._end(number, "training")
        elif number in ENDING:
            self._kill_at = time.monotonic()

    def _end(self, number: int, what: str) -> None:
        name = signal.Signals(number).name
        _say(f"{name} sent to {what}; processes still running after {self._grace:g} s are killed")
        self._kill_at = time.monotonic() + self._grace
        # Ranks have no terminal that could hang up.
        self._send(signal.SIGTERM if number == signal.SIGHUP else number)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)  # the only way without /proc
        descendants.signal_all(self._living(), number)

    def _living(self) -> list[int]:
        return descendants.living(self._others)


def _say(words: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may have been closed: that is a SIGHUP
        sys.stderr.write(f"mat-trainer: {words}\n")
        sys.stderr.flush()
