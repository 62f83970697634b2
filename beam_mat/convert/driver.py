"""The drivers of ``beam-mat convert``, ``publish`` and ``vacuum``.

A conversion opens the dataset, runs the graph, and commits what it has written.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Mapping

import apache_beam as beam
import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from beam_mat.convert.pipeline import build
from beam_mat.core import layout
from beam_mat.core.errors import (
    ConfigError,
    LostRecordError,
    SourceError,
    TooManyRejectedError,
    UnfinishedError,
)
from beam_mat.core.job import IN_PROCESS, Job
from beam_mat.dataset import conversion, image_table
from beam_mat.dataset import vacuum as vacuums
from beam_mat.dataset.commit import CONVERT, Content
from beam_mat.dataset.conversion import fingerprint, made_of
from beam_mat.dataset.dataset import Dataset
from beam_mat.dataset.state import Action, Command, State
from beam_mat.dataset.views import read_manifest
from beam_mat.report.missing import missing_lines
from beam_mat.report.printed import (
    next_command,
    nothing_to_do,
    print_dry_run,
    print_garbage,
    print_summary,
    say,
)
from beam_mat.report.write import write_of
from beam_mat.runners import progress
from beam_mat.runners.choose import is_local
from beam_mat.runners.dataflow import ensure_idle
from beam_mat.runners.run import run, run_graph
from beam_mat.runners.scratch import scratch_folder
from beam_mat.storage import files, inputs
from beam_mat.work.images import image_workers

NOTHING_ACCEPTED = 3
"""The exit code of a conversion that has accepted no record."""


def run_conversion(job: Job, options: PipelineOptions, console: Console) -> int:
    """Makes the dataset of a job, or resumes an earlier run. Raises a BeamMatError if it fails.

    Returns the exit code: 0, or `NOTHING_ACCEPTED`.
    """
    job = _with(job, fingerprint=fingerprint(job))
    output = job.settings.output
    with _open(output, Command.CONVERT, console, overwrite=job.overwrite) as dataset:
        faults = dataset.differences(job.settings, job.limit)
        if job.overwrite and (dataset.snapshot.made or faults):
            dataset.clear()
        elif dataset.is_made_by(job, _keep(job.keep, dataset)):
            return _print_nothing_to_do(output, console)
        elif faults:
            raise ConfigError(faults)
        job = _with(job, resume=dataset.state is not State.EMPTY)
        keep = _keep(job.keep, dataset)
        dataset.begin(job, keep)
        begin = time.monotonic()
        spent = _run(job, options, console)
        return 0 if spent is None else finish(dataset, job, keep, console, begin, spent)


def dry_run(job: Job, options: PipelineOptions, console: Console) -> int:
    """Prints what a job would do, as far as it is known without reading an image.

    Nothing is written to the output folder. Raises a BeamMatError if the job would fail. Returns
    the exit code, as `run_conversion`.
    """
    with scratch_folder(job.runner, options, "dry-run") as folder:
        job = _with(job, output=folder, fingerprint=fingerprint(job))
        _run(job, options, console, dry_run=True)
        content = conversion.collect(job)
        lines = missing_lines(job.settings, content.images)
        reads = image_table.bytes_by_source(folder, [part.path for part in content.images])
        print_dry_run(console, content, reads, lines)
        _check_inputs(job)
    records, rejected = content.counts["records"], content.counts["rejected"]
    if job.max_rejected is not None and rejected > job.max_rejected * records:
        raise TooManyRejectedError(
            f"{rejected} of {records} records would be rejected, and --max-rejected allows "
            f"{job.max_rejected:.2%}; fix the input or raise the limit"
        )
    return 0 if content.counts["accepted"] else NOTHING_ACCEPTED


def publish(output: str, console: Console) -> int:
    """Commits a job whose driver has exited, and returns the exit code as `run_conversion`.

    Raises UnfinishedError if the graph has not ended, and BeamMatError if the job must not be
    committed.
    """
    with _open(output, Command.PUBLISH, console) as dataset:
        if dataset.action is not Action.COMMIT:
            return _print_nothing_to_do(output, console)
        assert dataset.pending is not None
        job = conversion.job_of(dataset.pending)
        try:
            keep = dataset.pending.keep
            return finish(dataset, job, keep, console, time.monotonic(), {})
        except LostRecordError as error:
            raise UnfinishedError(
                f"{output}: the job is not finished ({error}); wait until it ends, or run the same "
                "beam-mat convert again, which does the remaining work"
            ) from error


def vacuum(output: str, console: Console, *, keep: int | None, dry_run: bool) -> None:
    """Removes the files that no kept generation needs, or only prints their number.

    `keep` is as in `core.job.Job`. Raises a BeamMatError as `dataset.dataset.Dataset.open`.
    """
    with _open(output, Command.VACUUM, console) as dataset:
        garbage = vacuums.run(output, _keep(keep, dataset), dry_run=dry_run)
        print_garbage(console, garbage, dry_run=dry_run)


def _open(
    output: str, command: Command, console: Console, *, overwrite: bool = False
) -> contextlib.AbstractContextManager[Dataset]:
    told = functools.partial(say, console)
    return Dataset.open(
        output, command, told, report=write_of, busy=ensure_idle, overwrite=overwrite
    )


def _with(job: Job, **changes: object) -> Job:
    return msgspec.structs.replace(job, settings=msgspec.structs.replace(job.settings, **changes))


def _keep(asked: int | None, dataset: Dataset) -> int | None:
    """Returns how many generations to keep: by default as many as before; None for all."""
    if asked is not None:
        return asked or None
    made = dataset.snapshot.made
    return made.keep if made else 1


def _print_nothing_to_do(output: str, console: Console) -> int:
    found = read_manifest(output)
    assert found is not None
    say(console, nothing_to_do(output, found))
    return 0 if found.counts["accepted"] else NOTHING_ACCEPTED


def _run(
    job: Job, options: PipelineOptions, console: Console, *, dry_run: bool = False
) -> dict[str, float] | None:
    where = "in this process" if job.runner == IN_PROCESS else f"on {job.runner}"
    resumed = ", using the results of an earlier run" if job.settings.resume else ""
    doing = "Examining" if dry_run else "Converting"
    console.print(
        f"{doing} {len(job.shards)} JSON shard(s) and {len(job.sources)} image source(s) "
        f"{where}{resumed}"
    )
    with contextlib.ExitStack() as stack:
        settings = job.settings
        if is_local(job.runner):
            size = sum(shard.size for shard in job.shards)
            receiver = stack.enter_context(progress.shown(size))
            settings = msgspec.structs.replace(settings, progress=receiver.address)
            if not dry_run:
                image_workers(settings.image_workers).start()  # while the graph is built

        def add(pipeline: beam.Pipeline) -> None:
            build(pipeline, job.shards, job.sources, settings, dry_run=dry_run)

        try:
            if dry_run:
                uris = [*(one.uri for one in job.shards), *(one.uri for one in job.sources)]
                return run_graph(job.runner, options, add, [*uris, settings.output])
            return run(job, options, add)
        except (OSError, RuntimeError, SourceError):
            _check_inputs(job)  # if an input has changed, that is the cause
            raise


def finish(
    dataset: Dataset,
    job: Job,
    keep: int | None,
    console: Console,
    begin: float,
    spent: Mapping[str, float],
) -> int:
    """Commits the results of a finished graph, prints a summary, and returns the exit code.

    `keep` is the number of kept generations, or None for all. `begin` is when the job began, on the
    monotonic clock, and `spent` has the seconds of work by step. Raises a BeamMatError if the job
    must not be committed.
    """
    content = conversion.collect(job)
    lines = missing_lines(job.settings, content.images)
    print_summary(console, job.settings.output, content, time.monotonic() - begin, spent, lines)
    _check_limit(job, content)
    _check_inputs(job)
    snapshot = dataset.commit(made_of(job.settings, CONVERT, keep, job.limit), content)
    say(console, next_command(job.settings.output, snapshot.parts(), job.settings.name))
    files.remove(files.join(job.settings.output, layout.UNPACKED))
    return 0 if content.counts["accepted"] else NOTHING_ACCEPTED


def _check_inputs(job: Job) -> None:
    """Raises SourceError if an input has changed. Removes the results of changed inputs."""
    faults = inputs.changed([*job.shards, *job.sources])
    if faults:
        conversion.forget(job, [place.uri for place, _ in faults])
        more = f" (and {len(faults) - 1} more inputs changed)" if len(faults) > 1 else ""
        raise SourceError(
            f"{faults[0][1]}{more}; nothing was published: run the same command again"
        )


def _check_limit(job: Job, content: Content) -> None:
    if job.max_rejected is None:
        return
    counts, shards = content.counts, content.shards.values()
    share = counts["rejected"] / max(1, counts["records"])
    # Nobody knows how many records a shard lost where it breaks off, but the lost bytes are known.
    lost = sum(one.size * one.broken.unread / one.broken.size for one in shards if one.broken)
    unread = lost / max(1, sum(one.size for one in shards))
    faults = []
    if share > job.max_rejected:
        faults.append(
            f"{counts['rejected']} of {counts['records']} records were rejected ({share:.2%})"
        )
    if unread > job.max_rejected:
        faults.append(f"{unread:.2%} of the shards could not be read, because they break off")
    if faults:
        raise TooManyRejectedError(
            f"{' and '.join(faults)}, but --max-rejected allows {job.max_rejected:.2%}, so nothing "
            f"was published; see {job.settings.output}/rejects, and fix the input or raise the "
            "limit"
        )
