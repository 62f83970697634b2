"""Runs a watch: opens the dataset, runs the graph, and ends it on request."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from rich.console import Console

from beam_mat.core import layout
from beam_mat.core.errors import BeamMatError, ConfigError
from beam_mat.core.job import DATAFLOW
from beam_mat.dataset import vacuum, views
from beam_mat.dataset.commit import Snapshot
from beam_mat.dataset.dataset import Dataset
from beam_mat.dataset.state import Command
from beam_mat.report.printed import say
from beam_mat.report.write import write_of
from beam_mat.runners.choose import runner_of
from beam_mat.runners.dataflow import ensure_idle
from beam_mat.runners.local import handling
from beam_mat.runners.progress import Receiver
from beam_mat.runners.run import Running, streaming, submit_streaming
from beam_mat.storage import files
from beam_mat.watch import messages
from beam_mat.watch.configuration import WatchJob
from beam_mat.watch.messages import Stop
from beam_mat.watch.monitor import Monitor, serving_metrics, shown
from beam_mat.watch.pipeline import build

LOOK_SECONDS = 0.25
REPORT_SHARE = 20
"""After writing a report, waits for this many times the duration before the next one."""

_LOG = logging.getLogger(__name__)


def run_watch(job: WatchJob, options: PipelineOptions, console: Console) -> None:
    """Runs a watch until it ends. With ``--detach``, returns when the job has been submitted.

    Lines of the log go to standard output, other messages to `console`. Raises a BeamMatError.
    """
    options.view_as(StandardOptions).streaming = True
    settings, keep = job.watch.settings, job.watch.keep
    told = functools.partial(say, console)
    opened = Dataset.open(settings.output, Command.WATCH, told, report=write_of, busy=ensure_idle)
    with signals_handled() as shutdown, opened as dataset:
        if faults := dataset.differences(settings, None):
            raise ConfigError(faults)
        files.remove(files.join(settings.output, messages.UNREADABLE))
        if keep is not None and dataset.snapshot.number:
            vacuum.run(settings.output, keep)
        if job.prism:
            console.print(job.prism, soft_wrap=True, highlight=False, markup=False)
        if runner_of(job.beam) == DATAFLOW:
            _submit(job, options, shutdown)
        else:
            _run_here(job, options, shutdown)
            files.remove(files.join(settings.output, layout.UNPACKED))


def _run_here(job: WatchJob, options: PipelineOptions, shutdown: Shutdown) -> None:
    with contextlib.closing(Receiver()) as receiver:
        settings = msgspec.structs.replace(job.watch.settings, progress=receiver.address)
        watch = msgspec.structs.replace(job.watch, settings=settings)
        with streaming(options, lambda pipeline: build(pipeline, watch)) as running:
            _follow(job, running, Monitor(watch, receiver.counts), shutdown)


def _submit(job: WatchJob, options: PipelineOptions, shutdown: Shutdown) -> None:
    watch, output = job.watch, job.watch.settings.output
    uris = (*(one.uri for one in (*watch.json, *watch.images)), output)
    running = submit_streaming(
        options, uris, output, lambda pipeline: build(pipeline, watch), detach=job.detach
    )
    if running:
        _follow(job, running, Monitor(watch, Counter()), shutdown)
        files.remove(files.join(output, layout.SUBMITTED))


def _follow(job: WatchJob, running: Running, monitor: Monitor, shutdown: Shutdown) -> None:
    shutdown.has_work = True
    sent = False
    idle_limit = job.stop_when_idle
    with contextlib.ExitStack() as stack:
        if job.metrics:
            stack.enter_context(serving_metrics(monitor, job.metrics))
        refresh = stack.enter_context(shown(monitor))
        report = _Report(job.watch.settings.output)
        while not running.ended.wait(LOOK_SECONDS):
            _print_log(monitor)
            monitor.check_alive()
            refresh()
            report.update(monitor.snapshot)
            if idle_limit is not None and monitor.idle_seconds() >= idle_limit:
                shutdown.requested = True
            if shutdown.requested and not sent:
                messages.send(job.watch, Stop(job.watch.run))
                sent = True
            if shutdown.requested and monitor.status and monitor.status.drained:
                running.cancel()
                _print_log(monitor)
                report.update(monitor.snapshot, last=True)
                return
        running.result()


def _print_log(monitor: Monitor) -> None:
    for line in monitor.update():
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


class _Report:
    """Writes report.html again from time to time."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._reported = 0
        self._next = 0.0

    def update(self, snapshot: Snapshot, *, last: bool = False) -> None:
        """Writes the report of a new generation if it is due, or if this is the last call."""
        begin = time.monotonic()
        if snapshot.number == self._reported or (begin < self._next and not last):
            return
        try:
            found = views.read_manifest(self._output)
            if found is None or found.generation != snapshot.number:
                return  # the manifest is written right after the commit
            write_of(self._output, found, snapshot)
            self._reported = snapshot.number
        except (OSError, BeamMatError) as error:
            # The dataset is complete without the report.
            _LOG.warning("the report could not be written: %s", error)
        now = time.monotonic()
        self._next = now + REPORT_SHARE * (now - begin)


@dataclass
class Shutdown:
    """The end of a watch, after a signal or because there is nothing to do."""

    requested: bool = False
    """Whether the watch must stop after it has committed the work in progress."""
    has_work: bool = False
    """Whether work may be in progress. Before that, the first signal ends the watch."""


@contextlib.contextmanager
def signals_handled() -> Iterator[Shutdown]:
    """Handles SIGINT and SIGTERM: the first one requests the shutdown, a second ends at once."""
    shutdown = Shutdown()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if shutdown.requested:
            raise KeyboardInterrupt  # the next run repeats the work that is not committed
        shutdown.requested = True
        if not shutdown.has_work:
            sys.stderr.write("Stopping: no work was started\n")
            raise SystemExit(0)
        sys.stderr.write(
            "Stopping: committing the work in progress; send the signal again to stop now\n"
        )

    with handling(signal.SIGINT, handle), handling(signal.SIGTERM, handle):
        yield shutdown
