"""What a step tells while it works: time and counts as Beam metrics, progress to the terminal.

Where no terminal can be reached, progress is told as metrics too, and the driver asks for them.
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
    """Adds the time that the block takes to the counter ``<step>_us`` (microseconds)."""
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
    """Sends increments to the terminal's progress display, ten times a second at most.

    Best effort, and only to loopback: results are counted elsewhere. Threads may share one.
    Without a display the increments wait for `flush`, which adds them to Beam counters.
    """

    def __init__(self, address: str) -> None:
        """Takes the ``host:port`` of a `beam_mat.progress.Receiver`, or "" for Beam counters."""
        self._address = address
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._next = 0.0

    def add(self, **counts: int) -> None:
        """Adds what has been done since the last call."""
        with self._lock:
            self._counts.update(counts)
            due = time.monotonic() >= self._next
        if due and self._address:  # only a bundle's own thread can count in Beam
            self.flush()

    def flush(self) -> None:
        """Sends what has not been sent. To be called in the bundle's own thread at its end."""
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
    """Sends increments at once; for what happens seldom. See `Progress`."""
    progress = Progress(address)
    progress.add(**counts)
    progress.flush()


@functools.cache
def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    atexit.register(made.close)
    return made
