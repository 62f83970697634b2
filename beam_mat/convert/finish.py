"""Commits a job whose graph has ended: for its own driver, or for ``beam-mat publish``."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console

from beam_mat.core.errors import LostRecordError, SourceError, TooManyRejectedError, UnfinishedError
from beam_mat.core.job import Job
from beam_mat.dataset import conversion, pending
from beam_mat.dataset import manifest as manifests
from beam_mat.dataset.commit import CONVERT, Made
from beam_mat.dataset.dataset import Dataset
from beam_mat.dataset.fingerprint import configuration, made_by
from beam_mat.dataset.state import Action, Command
from beam_mat.dataset.totals import Totals
from beam_mat.report import summary
from beam_mat.report.write import write_of
from beam_mat.runners.dataflow import ensure_idle
from beam_mat.storage import inputs


def finish(
    dataset: Dataset,
    job: Job,
    keep: int | None,
    console: Console,
    begin: float,
    spent: Mapping[str, float],
) -> None:
    """Commits the results of a finished graph, and prints a summary.

    Args:
        dataset: The output folder.
        job: The job.
        keep: How many generations to keep, or None for all.
        console: Where to print.
        begin: When the job began, on the monotonic clock.
        spent: Seconds of work by step.

    Raises:
        BeamMatError: The job must not be committed.
    """
    made = conversion.collect(job)
    summary.show(console, made.totals, time.monotonic() - begin, spent)
    _check_limit(job, made.totals)
    check_inputs(job)
    settings = job.settings
    how = Made(
        command=CONVERT,
        fingerprint=settings.fingerprint,
        made_by=made_by(settings),
        configuration=configuration(settings, job.limit),
        keep=keep,
    )
    snapshot = dataset.commit(how, made.content)
    console.print(summary.next_command(settings.output, snapshot.parts()), soft_wrap=True)


def check_inputs(job: Job) -> None:
    """Checks that no input has changed since the job began. Removes results of changed inputs.

    Raises:
        SourceError: An input has changed or was deleted.
    """
    faults = inputs.changed([*job.shards, *job.sources])
    if faults:
        conversion.forget(job, [place.uri for place, _ in faults])
        more = f" (and {len(faults) - 1} more inputs changed)" if len(faults) > 1 else ""
        raise SourceError(
            f"{faults[0][1]}{more}; nothing was published: run the same command again"
        )


def _check_limit(job: Job, totals: Totals) -> None:
    if job.max_rejected is None or not totals.records:
        return
    share = totals.rejected_records / totals.records
    if share > job.max_rejected:
        raise TooManyRejectedError(
            f"{totals.rejected_records} of {totals.records} records were rejected "
            f"({share:.2%}, but --max-rejected allows {job.max_rejected:.2%}), so nothing was "
            f"published; see {job.settings.output}/rejects, and fix the input or raise the limit"
        )


def publish(output: str, console: Console) -> None:
    """Commits a job whose driver has exited.

    Args:
        output: URI of the output folder.
        console: Where to print.

    Raises:
        UnfinishedError: The graph has not ended.
        BeamMatError: The job must not be committed.
    """
    opened = Dataset.open(output, Command.PUBLISH, console.print, report=write_of, busy=ensure_idle)
    with opened as dataset:
        if dataset.action is not Action.COMMIT:
            found = manifests.read(output)
            assert found is not None
            console.print(summary.nothing_to_do(output, found), soft_wrap=True)
            return
        assert dataset.pending is not None
        job = pending.job_of(dataset.pending)
        try:
            finish(dataset, job, dataset.pending.keep, console, time.monotonic(), {})
        except LostRecordError as error:
            raise UnfinishedError(
                f"{output}: the job is not finished ({error}); wait until it ends, or run the same "
                "beam-mat convert again, which does the remaining work"
            ) from error
