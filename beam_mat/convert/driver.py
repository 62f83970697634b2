"""The driver of a conversion: opens the dataset, runs the graph, and commits."""

from __future__ import annotations

import contextlib
import logging
import time

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from beam_mat.convert.finish import check_inputs, finish
from beam_mat.convert.pipeline import build
from beam_mat.core.errors import ConfigError, SourceError
from beam_mat.core.job import DATAFLOW, IN_PROCESS, PRISM, Job
from beam_mat.dataset import manifest as manifests
from beam_mat.dataset.dataset import Dataset
from beam_mat.dataset.fingerprint import fingerprint
from beam_mat.dataset.state import Command, State
from beam_mat.report import summary
from beam_mat.report.write import write_of
from beam_mat.runners import progress
from beam_mat.runners.choose import is_local
from beam_mat.runners.dataflow import ensure_idle
from beam_mat.runners.run import run


def run_conversion(job: Job, options: PipelineOptions, console: Console) -> None:
    """Makes the dataset of a job, or resumes an earlier run.

    Args:
        job: The job.
        options: Beam's options.
        console: Where to print.

    Raises:
        BeamMatError: The conversion failed; the error has the exit code.
    """
    output = job.settings.output
    settings = msgspec.structs.replace(job.settings, fingerprint=fingerprint(job))
    job = msgspec.structs.replace(job, settings=settings)
    with Dataset.open(
        output,
        Command.CONVERT,
        console.print,
        report=write_of,
        busy=ensure_idle,
        overwrite=job.overwrite,
    ) as dataset:
        faults = dataset.differences(settings, job.limit)
        if job.overwrite and (dataset.snapshot.made or faults):
            dataset.clear()
        elif dataset.is_made_by(job, _keep(job, dataset)):
            found = manifests.read(output)
            assert found is not None
            console.print(summary.nothing_to_do(output, found), soft_wrap=True)
            return
        elif faults:
            raise ConfigError(faults)
        resume = dataset.state is not State.EMPTY
        settings = msgspec.structs.replace(settings, resume=resume)
        job = msgspec.structs.replace(job, settings=settings)
        keep = _keep(job, dataset)
        dataset.begin(job, keep)
        begin = time.monotonic()
        spent = _run(job, options, console)
        if spent is not None:
            finish(dataset, job, keep, console, begin, spent)


def _keep(job: Job, dataset: Dataset) -> int | None:
    """Returns how many generations to keep: by default as many as before; None for all."""
    if job.keep is not None:
        return job.keep or None
    made = dataset.snapshot.made
    return made.keep if made else 1


def _run(job: Job, options: PipelineOptions, console: Console) -> dict[str, float] | None:
    where = "in this process" if job.runner == IN_PROCESS else f"on {job.runner}"
    resumed = ", using the results of an earlier run" if job.settings.resume else ""
    console.print(
        f"Converting {len(job.shards)} JSON shard(s) and {len(job.sources)} image source(s) "
        f"{where}{resumed}"
    )
    if job.runner not in (IN_PROCESS, PRISM, DATAFLOW):
        _show_log()
    with contextlib.ExitStack() as stack:
        settings = job.settings
        if is_local(job.runner):
            size = sum(shard.size for shard in job.shards)
            receiver = stack.enter_context(progress.shown(size))
            settings = msgspec.structs.replace(settings, progress=receiver.address)
        try:
            return run(
                job, options, lambda pipeline: build(pipeline, job.shards, job.sources, settings)
            )
        except (OSError, RuntimeError, SourceError):
            check_inputs(job)  # if an input has changed, that is the cause
            raise


def _show_log() -> None:
    # Other runners report the job, its address and its errors only in the log.
    logging.getLogger().setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.INFO)
