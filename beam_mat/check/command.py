"""From a command line to a table of violations."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import uuid
from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from rich.console import Console

from beam_mat.check.job import CheckJob, resolve
from beam_mat.check.options import command_line, help_text, parse
from beam_mat.check.pipeline import build
from beam_mat.check.report import Report, as_json, report, show
from beam_mat.config import DATAFLOW, IN_PROCESS, image_threads, is_local, runner_of
from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.unit import FileNote, ImageNote, UnitNote
from beam_mat.core.errors import ConfigError
from beam_mat.core.settings import Settings
from beam_mat.run import run_graph
from beam_mat.storage import files, notes
from beam_mat.transforms.check import FILES, IMAGES, LENGTHS, UNITS, CheckSettings

__all__ = ["check", "command_line", "help_text"]


def check(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: What follows ``check``.

    Returns:
        0 where nothing was found, else 3.

    Raises:
        BeamMatError: With the exit code that it stands for.
    """
    typed, options, unknown = parse(argv)
    job = resolve(typed, options, unknown)
    runner = runner_of(options)
    if not typed.json:
        count = sum(len(checked.files) for checked in job.entries)
        where = "in this process" if runner == IN_PROCESS else f"on {runner}"
        Console().print(f"Checking {count} file(s) of {len(job.entries)} entries {where}")
    found = run(job, runner, options)
    if typed.json:
        print(as_json(found))  # noqa: T201 what was asked for
    else:
        show(Console(), found)
    return 3 if found.violations else 0


def run(job: CheckJob, runner: str, options: PipelineOptions) -> Report:
    """Runs the graph, and adds up what its steps left."""
    with _scratch(runner, options) as scratch:
        work = Settings(scratch, image_threads=image_threads(options), storage=job.storage)
        entries = tuple(checked.entry or _NOTHING for checked in job.entries)
        settings = CheckSettings(work, entries, job.media, job.rules)
        data = job.files
        if data:
            places = {job.media, *(file.uri for file in data), scratch}
            run_graph(runner, options, lambda pipeline: build(pipeline, data, settings), places)
        return report(
            job,
            list(notes.collect(work, FILES, FileNote)),
            list(notes.collect(work, UNITS, UnitNote)),
            [note for kind in (IMAGES, LENGTHS) for note in notes.collect(work, kind, ImageNote)],
        )


_NOTHING = Entry("", "", {}, {})
"""Stands in the place of an entry that has no files to read."""


@contextlib.contextmanager
def _scratch(runner: str, options: PipelineOptions) -> Iterator[str]:
    """A folder that the workers and this process see, for as long as the block lasts."""
    if is_local(runner):
        with tempfile.TemporaryDirectory(prefix="beam-mat-check-") as folder:
            yield folder
        return
    place = options.view_as(GoogleCloudOptions).temp_location
    if not place:
        raise ConfigError(
            [
                f"--temp_location is missing: {runner}'s workers leave their notes there; name a "
                "folder that they and this machine see, such as gs://BUCKET/tmp"
            ]
        )
    folder = files.join(place, f"beam-mat-check-{uuid.uuid4().hex}")
    if runner != DATAFLOW:  # whose messages are passed on
        logging.getLogger().setLevel(logging.INFO)
    try:
        yield folder
    finally:
        files.remove(folder)
