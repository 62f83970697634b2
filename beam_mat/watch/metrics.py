"""Prometheus metrics and /healthz of a watch."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer

from beam_mat.core.errors import ConfigError
from beam_mat.watch.monitor import Monitor

_COUNTS = (
    ("records", "Records in the dataset's shards."),
    ("accepted", "Records in the dataset."),
    ("rejected", "Records that were rejected."),
    ("image_uses", "Images of accepted records, repetitions counted."),
)
_STATUS = (
    ("arriving", "Files that may still grow."),
    ("queued", "Shards and zips that are not let in yet."),
    ("working", "Shards and zips that are worked on."),
    ("waiting", "Shards that wait for images."),
    ("pending", "Shards and zips that wait for the end of their window."),
    ("unreadable", "Zips that cannot be read."),
)
_WORK = (
    ("images", "Images that have been worked on since this run began."),
    ("written", "Records that have been written since this run began."),
)


class Collector:
    """Makes the metrics of what a monitor knows when they are asked for."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        monitor, status = self._monitor, self._monitor.status
        for name, what in _COUNTS:
            value = monitor.snapshot.counts.get(name, 0)
            yield GaugeMetricFamily(f"beam_mat_dataset_{name}", what, value=value)
        for name, what in _STATUS:
            value = getattr(status, name) if status else 0
            yield GaugeMetricFamily(f"beam_mat_watch_{name}", what, value=value)
        for name, what in _WORK:
            value = monitor.progress[name]
            yield CounterMetricFamily(f"beam_mat_watch_{name}", what, value=value)
        yield GaugeMetricFamily(
            "beam_mat_watch_generation", "The last generation.", value=monitor.snapshot.number
        )
        yield GaugeMetricFamily(
            "beam_mat_watch_oldest_seconds",
            "Since the shard was seen that has waited longest to be committed; 0 if none waits.",
            value=(status.oldest or 0.0) if status else 0.0,
        )
        yield GaugeMetricFamily(
            "beam_mat_watch_healthy", "Whether /healthz is well.", value=monitor.trouble() is None
        )


@contextlib.contextmanager
def serving(monitor: Monitor, address: tuple[str, int]) -> Iterator[int]:
    """Serves the metrics and /healthz while the block lasts; yields the port.

    Raises:
        ConfigError: The address cannot be had.
    """
    registry = CollectorRegistry()
    registry.register(Collector(monitor))
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/healthz":
            return metrics(environ, start_response)
        trouble = monitor.trouble()
        status = "503 Service Unavailable" if trouble else "200 OK"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{trouble or 'well'}\n".encode()]

    host, port = address
    kind = _IPv6Server if ":" in host else ThreadingWSGIServer
    try:
        server = make_server(host, port, app, kind, _Silent)
    except OSError as error:
        fault = f"--metrics-port {host}:{port}: cannot be listened on ({error.strerror})"
        raise ConfigError([f"{fault}; name another"]) from error
    with server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _IPv6Server(ThreadingWSGIServer):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing of requests."""
