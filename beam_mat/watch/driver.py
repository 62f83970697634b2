"""Runs a watch: opens the dataset, runs the graph, and stops it on request."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from rich.console import Console

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.job import DATAFLOW
from beam_mat.dataset import vacuum
from beam_mat.dataset.dataset import Dataset
from beam_mat.dataset.state import Command
from beam_mat.report.write import write_of
from beam_mat.runners.dataflow import ensure_idle
from beam_mat.runners.progress import Receiver
from beam_mat.runners.run import Running, streaming, submit_streaming
from beam_mat.storage import files
from beam_mat.watch import live, metrics, signals
from beam_mat.watch.configuration import WatchJob
from beam_mat.watch.monitor import Monitor
from beam_mat.watch.pipeline import build
from beam_mat.watch.refresh import Refresh
from beam_mat.watch.shutdown import Ending
from beam_mat.watch.signals import Stop

LOOK_SECONDS = 0.25


def run_watch(job: WatchJob, options: PipelineOptions, console: Console) -> None:
    """Runs a watch until it ends. With `job.detach`, returns when the job has been submitted.

    Args:
        job: The watch.
        options: Beam's options.
        console: Where to print messages other than log lines.

    Raises:
        BeamMatError: The watch failed; the error has the exit code.
    """
    options.view_as(StandardOptions).streaming = True
    settings, keep = job.watch.settings, job.watch.keep
    opened = Dataset.open(
        settings.output, Command.WATCH, console.print, report=write_of, busy=ensure_idle
    )
    with Ending() as ending, opened as dataset:
        if faults := dataset.differences(settings, None):
            raise ConfigError(faults)
        files.remove(files.join(settings.output, signals.UNREADABLE))
        if keep is not None and dataset.snapshot.number:
            vacuum.run(settings.output, keep)
        if job.prism:
            console.print(job.prism, soft_wrap=True, highlight=False, markup=False)
        (_submit if job.runner == DATAFLOW else _run_here)(job, options, ending)


def _run_here(job: WatchJob, options: PipelineOptions, ending: Ending) -> None:
    with contextlib.closing(Receiver()) as receiver:
        settings = msgspec.structs.replace(job.watch.settings, progress=receiver.address)
        watch = msgspec.structs.replace(job.watch, settings=settings)
        monitor = Monitor(watch, receiver.counts)
        with streaming(options, lambda pipeline: build(pipeline, watch)) as running:
            _follow(job, running, monitor, ending)


def _submit(job: WatchJob, options: PipelineOptions, ending: Ending) -> None:
    watch, output = job.watch, job.watch.settings.output
    uris = (*watch.json, *watch.images, output)
    running = submit_streaming(
        options, uris, output, lambda pipeline: build(pipeline, watch), detach=job.detach
    )
    if running:
        _follow(job, running, Monitor(watch, Counter()), ending)
        files.remove(files.join(output, layout.SUBMITTED))


def _follow(job: WatchJob, running: Running, monitor: Monitor, ending: Ending) -> None:
    ending.under_way = True
    sent = False
    with contextlib.ExitStack() as stack:
        if job.metrics:
            stack.enter_context(metrics.serving(monitor, job.metrics))
        refresh = stack.enter_context(live.shown(monitor))
        report = Refresh(job.watch.settings.output)
        while not running.ended.wait(LOOK_SECONDS):
            _print_log(monitor)
            monitor.hold()
            refresh()
            report.look(monitor.snapshot)
            if job.stop_when_idle is not None and monitor.idle_seconds() >= job.stop_when_idle:
                ending.asked = True
            if ending.asked and not sent:
                signals.tell(job.watch, Stop(job.watch.run))
                sent = True
            if ending.asked and monitor.status and monitor.status.drained:
                running.cancel()
                _print_log(monitor)
                report.look(monitor.snapshot, last=True)
                return
        running.result()


def _print_log(monitor: Monitor) -> None:
    for line in monitor.look():
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
