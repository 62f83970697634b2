"""Run one command and measure it as a whole: wall seconds, CPU seconds, peak memory of its tree."""

import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.05

#: PSS counts a page that several processes share once, split among them. Where the system
#: does not tell it (macOS), RSS counts such a page once for each process.
MEMORY_KIND = "PSS" if hasattr(psutil.Process().memory_full_info(), "pss") else "RSS"


@dataclass(frozen=True)
class Measurement:
    """One run: seconds of wall clock and of CPU (children included), peak memory in bytes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class CommandFailed(Exception):
    """The command ended with another status than 0; the message has the end of its output."""


def measure(command: Sequence[str], log: Path) -> Measurement:
    """Run `command` to its end, its output in `log`.

    CPU seconds are those of all descendants that were waited for. Raises CommandFailed.
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
        raise CommandFailed(f"{' '.join(command)}\nended with status {status}:\n{tail}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measurement(seconds, cpu, sampler.peak_bytes)


class _TreeSampler(threading.Thread):
    """Looks at a process and its descendants every SAMPLE_SECONDS until stopped."""

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
        # PSS is never above RSS, and the kernel walks all pages to tell it. So it is asked only
        # when the cheap RSS says that a new peak is possible: the measured command is not slowed.
        if MEMORY_KIND == "RSS" or sum(map(_rss, tree)) > self.peak_bytes:
            memory = _rss if MEMORY_KIND == "RSS" else _pss
            self.peak_bytes = max(self.peak_bytes, sum(map(memory, tree)))

    def stop(self) -> None:
        """End the sampling, and what the command left running behind it."""
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
    except psutil.Error:  # it ended between the listing and the look
        return 0


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
