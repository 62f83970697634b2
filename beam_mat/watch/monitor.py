"""Monitors a watch: its state, shown in a terminal or a log, and served to Prometheus."""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from rich.console import Console
from rich.live import Live
from rich.table import Table

from beam_mat.core.display import spoken
from beam_mat.core.errors import ConfigError, WorkerLostError
from beam_mat.dataset import log
from beam_mat.dataset.commit import Commit, Snapshot
from beam_mat.watch import messages
from beam_mat.watch.messages import Status, WatchSettings

DEAD_SECONDS = 300.0
"""After this time without a status, the graph is taken for dead."""
SILENT_SECONDS = 60.0
"""After this time without a status or a commit, the watch is not healthy."""
LINE_SECONDS = 30.0
"""Time between two lines in a log."""


_COUNTS = {
    "records": "Records in the dataset's shards.",
    "accepted": "Records in the dataset.",
    "rejected": "Records that were rejected.",
    "image_uses": "Images of accepted records, repetitions counted.",
}
_STATUS = {
    "arriving": "Files that may still grow.",
    "queued": "Shards and zips that are not let in yet.",
    "working": "Shards and zips that are being processed.",
    "waiting": "Shards that wait for images.",
    "pending": "Shards and zips that wait for the end of their window.",
    "unreadable": "Shards and zips that cannot be read.",
}
_WORK = {
    "images": "Images that have been processed since this run began.",
    "written": "Records that have been written since this run began.",
}


class Monitor:
    """The state of a watch.

    `snapshot` is the newest generation, `status` the last status of the intake (None before the
    first), and `progress` counts the work of the steps in this run.
    """

    def __init__(self, watch: WatchSettings, progress: Counter[str]) -> None:
        self._watch = watch
        self.progress = progress
        self.snapshot = log.snapshot(watch.settings.output)
        self.status: Status | None = None
        self._received = self._committed = time.monotonic()
        self._idle_since: float | None = None

    def update(self) -> list[dict[str, Any]]:
        """Reads the status and the log. Returns a line for the watch's log per new generation."""
        now = time.monotonic()
        status = messages.receive(self._watch, Status)
        if status and status != self.status:
            self._received, self.status = now, status
        lines = []
        while commit := log.read(self._watch.settings.output, self.snapshot.number + 1):
            lines.append(_log_line(commit, self.snapshot))
            self.snapshot.apply(commit)
        status = self.status
        if lines or not (status and status.queued + status.working + status.pending):
            self._committed = now
        idle = status is not None and status.idle and not lines
        self._idle_since = (self._idle_since or now) if idle else None
        return lines

    def idle_seconds(self) -> float:
        """Returns how long there has been nothing to do and nothing to wait for."""
        return 0.0 if self._idle_since is None else time.monotonic() - self._idle_since

    def check_alive(self) -> None:
        """Raises a WorkerLostError if the graph has been silent for too long."""
        silent = time.monotonic() - self._received
        if silent > max(DEAD_SECONDS, 30 * self._watch.interval):
            raise WorkerLostError(
                f"nothing has been heard from the graph for {silent:.0f} s: a worker may have died "
                "without its runner noticing; run the same command again; it resumes from here"
            )

    def trouble(self) -> str | None:
        """Returns why the watch is not healthy, or None."""
        now = time.monotonic()
        silent = now - self._received
        if silent > max(SILENT_SECONDS, 3 * self._watch.interval):
            return f"nothing has been heard from the graph for {silent:.0f} s"
        late = now - self._committed
        if late > max(SILENT_SECONDS, 3 * (self._watch.window + self._watch.interval)):
            return f"work is waiting, and nothing has been committed for {late:.0f} s"
        return None

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics, as prometheus_client asks for them."""
        status = self.status
        for name, text in _COUNTS.items():
            yield _gauge(f"dataset_{name}", text, self.snapshot.counts.get(name, 0))
        for name, text in _STATUS.items():
            yield _gauge(f"watch_{name}", text, getattr(status, name) if status else 0)
        for name, text in _WORK.items():
            value = self.progress[name]
            yield CounterMetricFamily(f"beam_mat_watch_{name}", text, value=value)
        yield _gauge("watch_generation", "The newest generation.", self.snapshot.number)
        yield _gauge(
            "watch_oldest_seconds",
            "Time since the oldest uncommitted shard was first seen; 0 if there is none.",
            (status.oldest or 0.0) if status else 0.0,
        )
        yield _gauge("watch_healthy", "Whether /healthz answers 200.", self.trouble() is None)


def _log_line(commit: Commit, before: Snapshot) -> dict[str, Any]:
    known = [one for one in commit.shards.added if one.uri in before.shards]
    replaced = [one.uri for one in known if before.shards[one.uri].content != one.content]
    return {
        "generation": commit.generation,
        "shards": len(commit.shards.added),
        "zips": len(commit.sources.added),
        "new_versions_of": replaced,
        "broken_shards": [one.uri for one in commit.shards.added if one.broken],
        "taken_in_again": [one.uri for one in known if one.uri not in replaced],
        "parts_added": len(commit.parts.added),
        "parts_removed": len(commit.parts.removed),
        **{name: commit.counts.get(name, 0) for name in ("records", "accepted", "rejected")},
    }


@contextlib.contextmanager
def shown(monitor: Monitor) -> Iterator[Callable[[], None]]:
    """Shows the state on standard error. Yields a function to call when it may have changed."""
    if sys.stderr.isatty():
        with Live(_table(monitor), console=Console(stderr=True), auto_refresh=False) as live:
            yield lambda: live.update(_table(monitor), refresh=True)
        return
    last = time.monotonic() - LINE_SECONDS

    def write_line() -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            line = ", ".join(f"{name} {value}" for name, value in _values(monitor))
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    yield write_line


def _values(monitor: Monitor) -> list[tuple[str, str]]:
    status, counts = monitor.status, monitor.snapshot.counts
    numbers = {name: counts.get(name, 0) for name in ("records", "accepted", "rejected")}
    numbers["images"] = sum(counts.get("images", {}).values())
    numbers["generation"] = monitor.snapshot.number
    if status:
        numbers |= {name: getattr(status, name) for name in ("arriving", "queued", "working")}
        numbers |= {"waiting for images": status.waiting, "to be committed": status.pending}
    values = [(name, f"{number:,}") for name, number in numbers.items()]
    if status:
        values.append(("oldest", "none" if status.oldest is None else spoken(status.oldest)))
        if status.unreadable:
            values.append(("unreadable files", f"{status.unreadable:,}"))
    trouble = monitor.trouble()
    return [*values, ("trouble", trouble)] if trouble else values


def _table(monitor: Monitor) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for _ in range(2):
        table.add_column(style="bold")
        table.add_column(justify="right")
    values = _values(monitor)
    half = -(-len(values) // 2)
    for left, right in zip_longest(values[:half], values[half:], fillvalue=("", "")):
        table.add_row(*left, *right)
    return table


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"beam_mat_{name}", text, value=value)


@contextlib.contextmanager
def serving_metrics(monitor: Monitor, address: tuple[str, int]) -> Iterator[None]:
    """Serves metrics and /healthz. Raises a ConfigError if the address cannot be used."""
    registry = CollectorRegistry()
    registry.register(monitor)
    host, port = address
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        fault = f"--metrics-port {host}:{port}: cannot be listened on ({error.strerror})"
        raise ConfigError([f"{fault}; name another"]) from error
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/healthz":
            return metrics(environ, start_response)
        trouble = monitor.trouble()
        status = "503 Service Unavailable" if trouble else "200 OK"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{trouble or 'well'}\n".encode()]

    server.set_app(app)
    with server:
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
