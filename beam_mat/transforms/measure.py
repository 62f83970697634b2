"""Metrics of steps: time and counts as Beam metrics, and progress for the terminal.

If the terminal cannot be reached, the progress is counted in Beam metrics, which the driver polls.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

from apache_beam.metrics import Metrics

NAMESPACE = "beam_mat"


@contextlib.contextmanager
def timed(step: str) -> Iterator[None]:
    """Adds the duration of the block to the counter ``<step>_us`` (microseconds)."""
    begin = time.perf_counter_ns()
    try:
        yield
    finally:
        spent = (time.perf_counter_ns() - begin) // 1000
        Metrics.counter(NAMESPACE, f"{step}_us").inc(spent)


def count(name: str, number: int = 1) -> None:
    """Adds to a Beam counter."""
    if number:
        Metrics.counter(NAMESPACE, name).inc(number)


TELL_SECONDS = 0.1


class Progress:
    """Sends increments to the progress display of the terminal, at most ten times a second.

    Increments go to loopback and may get lost: results are counted elsewhere. Thread-safe.
    Without a display, `flush` adds the increments to Beam counters.
    """

    def __init__(self, address: str) -> None:
        """Takes the ``host:port`` of a `runners.progress.Receiver`, or "" to use Beam counters."""
        self._address = address
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._next = 0.0

    def add(self, **counts: int) -> None:
        """Adds increments by name."""
        with self._lock:
            self._counts.update(counts)
            due = time.monotonic() >= self._next
        if due and self._address:  # Beam counters work only in the thread of the bundle
            self.flush()

    def flush(self) -> None:
        """Sends all increments. Must be called in the thread of the bundle, at its end."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            self._next = time.monotonic() + TELL_SECONDS
        if not self._address:
            for name, number in counts.items():
                count(name, number)
        elif counts:
            host, port = self._address.rsplit(":", 1)
            with contextlib.suppress(OSError):
                _socket().sendto(json.dumps(counts).encode(), (host, int(port)))


def tell(address: str, **counts: int) -> None:
    """Sends increments at once, for rare events. See `Progress`."""
    progress = Progress(address)
    progress.add(**counts)
    progress.flush()


@functools.cache
def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    atexit.register(made.close)
    return made
