"""A job whose graph is done is published: by its own driver, or by ``beam-mat publish``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console

from beam_mat import earlier, manifest, publish, summary
from beam_mat.command_line import CommandLine
from beam_mat.config import Job
from beam_mat.core.errors import (
    ConfigError,
    LostRecordError,
    TooManyRejectedError,
    UnfinishedError,
)
from beam_mat.ledger import Ledger, adopt
from beam_mat.output_argument import add_output, output_of
from beam_mat.run import hold_off
from beam_mat.storage import generations, lease
from beam_mat.storage.lease import Lease
from beam_mat.totals import Totals, add_up


def finish(
    job: Job, console: Console, held: Lease, begin: float, spent: Mapping[str, float]
) -> None:
    """Publishes what a finished graph has written, and prints what came of it.

    Args:
        job: The job.
        console: Where to print.
        held: The right to write to the output folder.
        begin: When the job began, on the monotonic clock.
        spent: Seconds of work by step.

    Raises:
        BeamMatError: It is not to be published.
    """
    totals = add_up(job)
    summary.show(console, totals, time.monotonic() - begin, spent)
    _hold_to_limit(job, totals)
    publish.hold_inputs(job)
    held.check()
    publish.publish(job, totals)
    _go_on_in_the_log(job)
    console.print(summary.next_command(job.settings.output, totals.parts), soft_wrap=True)


def _go_on_in_the_log(job: Job) -> None:
    """Where the dataset has been watched, what has been converted is its next generation."""
    output = job.settings.output
    found = manifest.read(output) if generations.numbers(output) else None
    if found:
        ledger = Ledger(job.settings)
        shards, zips = ledger.contents.shards, ledger.contents.sources
        adopt(
            ledger,
            found,
            lambda uri: shards[uri].order if uri in shards else 0,
            lambda uri: zips[uri].order if uri in zips else 0,
        )


def _hold_to_limit(job: Job, totals: Totals) -> None:
    if job.max_rejected is None or not totals.records:
        return
    share = totals.rejected_records / totals.records
    if share > job.max_rejected:
        raise TooManyRejectedError(
            f"{totals.rejected_records} of {totals.records} records were rejected "
            f"({share:.2%}, --max-rejected allows {job.max_rejected:.2%}): nothing was published; "
            f"look into {job.settings.output}/rejects and mend the input or raise the limit"
        )


def command_line() -> CommandLine:
    """The words of ``beam-mat publish``."""
    line = CommandLine(
        "publish",
        "Publishes the dataset of a job that is done and that its driver has left: it was "
        "detached (--detach), or its driver died.",
        ("beam-mat publish gs://bucket/datasets/mat", "beam-mat publish dataset"),
        more="Exit codes: 0 done, 1 the job is not done or failed, 2 configuration, 3 more "
        "rejected than allowed.",
    )
    return add_output(line, "OUTPUT", "the job's --output")


def publish_left(argv: Sequence[str]) -> None:
    """Runs ``beam-mat publish``: the last step of a job whose driver has left it.

    Args:
        argv: What follows ``publish``.

    Raises:
        BeamMatError: With the exit code that it stands for.
    """
    output = output_of(command_line(), argv, writes=True)
    console = Console()
    if not earlier.look(output).begun:
        raise ConfigError([f"{output}: no job was begun here; make one with beam-mat convert"])
    with lease.held(output, console.print) as held:
        hold_off(output)
        found = earlier.look(output)
        if found.manifest:
            console.print(summary.nothing_to_do(output, found.manifest), soft_wrap=True)
            return
        assert found.begun
        job = earlier.read_job(found.begun)
        try:
            finish(job, console, held, time.monotonic(), {})
        except LostRecordError as error:
            raise UnfinishedError(
                f"{output}: the job is not done ({error}); wait for its end, or run the same "
                "beam-mat convert again, which does what is left"
            ) from error
