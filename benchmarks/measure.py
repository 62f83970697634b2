"""Runs a command and measures its wall time, CPU time and the peak memory of its process tree."""

import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.05

#: PSS counts a page that several processes share only once. If the system does not provide it
#: (macOS), RSS is used, which counts such a page once for each process.
MEMORY_KIND = "PSS" if hasattr(psutil.Process().memory_full_info(), "pss") else "RSS"


@dataclass(frozen=True)
class Measurement:
    """One run: wall time and CPU time in seconds (including children), and peak memory in bytes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class CommandFailed(Exception):
    """The command exited with a status other than 0. The message has the end of its output."""


def measure(command: Sequence[str], log: Path) -> Measurement:
    """Runs `command`, with its output in `log`.

    The CPU time includes all descendants for which their parent has waited.

    Raises:
        CommandFailed: The command exited with a status other than 0.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        sampler = _TreeSampler(process.pid)
        try:
            status = process.wait()
            seconds = time.perf_counter() - start
        finally:
            sampler.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status != 0:
        tail = log.read_text(errors="replace")[-2000:]
        raise CommandFailed(f"{' '.join(command)}\nexited with status {status}:\n{tail}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measurement(seconds, cpu, sampler.peak_bytes)


class _TreeSampler(threading.Thread):
    """Samples a process and its descendants every SAMPLE_SECONDS until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._seen: dict[int, psutil.Process] = {}
        self._over = threading.Event()
        self._root = psutil.Process(pid)
        self.start()

    def run(self) -> None:
        while not self._over.is_set():
            began = time.perf_counter()
            self._sample()
            self._over.wait(max(0.0, SAMPLE_SECONDS - (time.perf_counter() - began)))

    def _sample(self) -> None:
        try:
            tree = [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return
        self._seen.update((process.pid, process) for process in tree)
        # PSS is never larger than RSS, but it is expensive, because the kernel visits all pages. It
        # is read only if RSS shows that a new peak is possible, so the command is not slowed down.
        if MEMORY_KIND == "RSS" or sum(map(_rss, tree)) > self.peak_bytes:
            memory = _rss if MEMORY_KIND == "RSS" else _pss
            self.peak_bytes = max(self.peak_bytes, sum(map(memory, tree)))

    def stop(self) -> None:
        """Stops sampling, and terminates the processes that the command left running."""
        self._over.set()
        self.join()
        left = [process for process in self._seen.values() if process.is_running()]
        for process in left:
            if process.status() != psutil.STATUS_ZOMBIE:
                process.terminate()
        for process in psutil.wait_procs(left, timeout=5)[1]:
            process.kill()


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # the process has exited since it was listed
        return 0


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
