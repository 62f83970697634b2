"""What a step tells while it works: time and counts as Beam metrics, progress to the terminal."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import time
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


def tell(address: str, **counts: int) -> None:
    """Sends increments to the terminal's progress display; best effort, and only to loopback.

    Args:
        address: ``host:port`` of a `beam_mat.progress.Receiver`, or "" for nobody.
        counts: What has been done since the last call.
    """
    if address:
        host, port = address.rsplit(":", 1)
        with contextlib.suppress(OSError):
            _socket().sendto(json.dumps(counts).encode(), (host, int(port)))


@functools.cache
def _socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
