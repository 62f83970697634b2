"""From a command line to a dataset that is kept current."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from rich.console import Console

from beam_mat.config import DATAFLOW, parser
from beam_mat.core import layout
from beam_mat.options import ConvertOptions
from beam_mat.progress import Receiver
from beam_mat.run import Running, hold_off, streaming, submit_streaming
from beam_mat.storage import files, lease
from beam_mat.watch import board, live, metrics
from beam_mat.watch.begin import begin
from beam_mat.watch.board import Stop
from beam_mat.watch.configuration import WatchJob, resolve
from beam_mat.watch.ending import Ending
from beam_mat.watch.monitor import Monitor
from beam_mat.watch.options import WANTED, WatchOptions, command_line
from beam_mat.watch.pipeline import build
from beam_mat.watch.refresh import Refresh

LOOK_SECONDS = 0.25


def help_text() -> str:
    """The command's help."""
    return command_line().format_help().rstrip()


def watch(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: What follows ``watch``.

    Raises:
        BeamMatError: With the exit code that it stands for.
    """
    command_line().hold_to_words(argv, WANTED)
    _, unknown = parser(WatchOptions, ConvertOptions, command="watch").parse_known_args(list(argv))
    options = PipelineOptions(list(argv))
    job = resolve(options, unknown)
    options.view_as(StandardOptions).streaming = True
    logging.getLogger("beam_mat").setLevel(logging.INFO)
    console = Console(stderr=True)
    with Ending() as ending, lease.held(job.watch.settings.output, console.print):
        hold_off(job.watch.settings.output)
        begin(job.watch)
        (_submit if job.runner == DATAFLOW else _run_here)(job, options, ending)


def _run_here(job: WatchJob, options: PipelineOptions, ending: Ending) -> None:
    with contextlib.closing(Receiver()) as receiver:
        settings = msgspec.structs.replace(job.watch.settings, progress=receiver.address)
        watch = msgspec.structs.replace(job.watch, settings=settings)
        monitor = Monitor(watch, receiver.counts)
        with streaming(job.runner, options, lambda pipeline: build(pipeline, watch)) as running:
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
    told = False
    with contextlib.ExitStack() as stack:
        if job.metrics:
            stack.enter_context(metrics.serving(monitor, job.metrics))
        say = stack.enter_context(live.shown(monitor))
        report = Refresh(job.watch.settings.output)
        while not running.ended.wait(LOOK_SECONDS):
            _tell(monitor)
            monitor.hold()
            say()
            report.look(monitor.contents)
            if job.stop_when_idle is not None and monitor.idle_seconds() >= job.stop_when_idle:
                ending.asked = True
            if ending.asked and not told:
                board.tell(job.watch, Stop(job.watch.run))
                told = True
            if ending.asked and monitor.status and monitor.status.drained:
                running.cancel()
                _tell(monitor)
                report.look(monitor.contents, last=True)
                return
        running.result()


def _tell(monitor: Monitor) -> None:
    for line in monitor.look():
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
