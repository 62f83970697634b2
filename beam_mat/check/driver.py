"""Runs the graph of a check, and prints the result."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator

import msgspec
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from rich.console import Console

from beam_mat.check.job import CheckJob
from beam_mat.check.pipeline import FILES, IMAGES, LENGTHS, UNITS, CheckSettings, build
from beam_mat.check.report import report, show
from beam_mat.core.contract.unit import FileNote, ImageNote, UnitNote
from beam_mat.core.errors import ConfigError
from beam_mat.core.job import DATAFLOW, IN_PROCESS
from beam_mat.runners import choose
from beam_mat.runners.logs import show_all
from beam_mat.runners.run import run_graph
from beam_mat.storage import files
from beam_mat.work import results


def run_check(job: CheckJob, options: PipelineOptions, *, to_json: bool) -> int:
    """Runs a check and prints its findings, as JSON alone if `to_json`; returns 3 if there are any.

    Raises:
        BeamMatError: With the exit code that it stands for.
    """
    console = Console()
    data = job.files
    runner = choose.runner_of(job.beam)
    if not to_json:
        where = "in this process" if runner == IN_PROCESS else f"on {runner}"
        console.print(f"Checking {len(data)} file(s) of {len(job.entries)} entries {where}")
    with _scratch(runner, options) as scratch:
        settings = CheckSettings(
            output=scratch,
            image_threads=choose.image_threads(job.beam),
            storage=job.storage,
            entries={at: each.entry for at, each in enumerate(job.entries) if each.entry},
            media=job.media,
            rules=job.rules,
        )
        if data:
            places = {job.media, *(file.uri for file in data), scratch}
            run_graph(runner, options, lambda pipeline: build(pipeline, data, settings), places)
        found = report(
            job,
            list(results.collect(settings, FILES, FileNote)),
            list(results.collect(settings, UNITS, UnitNote)),
            [
                note
                for folder in (IMAGES, LENGTHS)
                for note in results.collect(settings, folder, ImageNote)
            ],
        )
    if to_json:
        made = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
        print(made)  # noqa: T201  # the output of the command
    else:
        show(console, found)
    return 3 if found.violations else 0


@contextlib.contextmanager
def _scratch(runner: str, options: PipelineOptions) -> Iterator[str]:
    """A folder that the workers and this process can reach, until the block ends."""
    if choose.is_local(runner):
        with tempfile.TemporaryDirectory(prefix="beam-mat-check-") as folder:
            yield folder
        return
    place = options.view_as(GoogleCloudOptions).temp_location
    if not place:
        fault = f"--temp_location is missing: workers of {runner} write findings there"
        cure = "name a folder that they and this machine can reach, such as gs://BUCKET/tmp"
        raise ConfigError([f"{fault}; {cure}"])
    folder = files.join(place, f"beam-mat-check-{uuid.uuid4().hex}")
    if runner != DATAFLOW:  # its messages are passed on
        show_all()
    try:
        yield folder
    finally:
        files.remove(folder)
