"""What all steps share: access to the stores, times and counts as Beam metrics, and progress.

Progress goes to the terminal. If that cannot be reached, it is counted in Beam metrics, which the
driver polls.
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
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter

from beam_mat.core.settings import Settings
from beam_mat.storage import files, stores

NAMESPACE = "beam_mat"
SEND_SECONDS = 0.1


class FileStep(beam.DoFn):
    """A step that opens files, on any worker, and changes nothing behind a link in the output."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def setup(self) -> None:
        stores.use_in_worker(self._settings.storage)
        files.protect(self._settings.output)


class ProgressStep(FileStep):
    """A step that reports its progress for each image."""

    def start_bundle(self) -> None:
        self._progress = Progress(self._settings.progress)

    def finish_bundle(self) -> Iterator[Any] | None:
        self._progress.flush()
        return None

    def _converted(self, number: int) -> None:
        self._progress.add(images=number)


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


def counters(result: Any) -> Counter[str]:
    """This package's counters, each summed over the steps; they grow while a job runs."""
    found: Counter[str] = Counter()
    query = MetricsFilter().with_namespace(NAMESPACE)
    for metric in result.metrics().query(query)["counters"]:
        found[metric.key.metric.name] += int(metric.result or 0)
    return found


class Progress:
    """Sends increments to the progress display of the terminal, at most ten times a second.

    Increments go to loopback and may get lost: results are counted elsewhere. Thread-safe. The
    address is the ``host:port`` of a `runners.progress.Receiver`, or "" to use Beam counters.
    """

    def __init__(self, address: str) -> None:
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
            self._next = time.monotonic() + SEND_SECONDS
        if not self._address:
            for name, number in counts.items():
                count(name, number)
        elif counts:
            host, port = self._address.rsplit(":", 1)
            with contextlib.suppress(OSError):
                _socket().sendto(json.dumps(counts).encode(), (host, int(port)))


def send_progress(address: str, **counts: int) -> None:
    """Sends increments at once, for rare events. See `Progress`."""
    progress = Progress(address)
    progress.add(**counts)
    progress.flush()


@functools.cache
def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    atexit.register(made.close)
    return made
