"""``beam-mat convert``: from a command line to a published dataset."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from beam_mat import progress, publish, summary
from beam_mat.config import IN_PROCESS, Job, is_local, parser, resolve
from beam_mat.core.errors import TooManyRejectedError
from beam_mat.options import ConvertOptions
from beam_mat.run import run
from beam_mat.totals import Totals, add_up

HELP = """\
usage: beam-mat convert --json URI [URI ...] --images URI [URI ...] --output URI [options]

Makes a LLaMA-Factory dataset out of MAT shards and image zips. Example:

  beam-mat convert --json mat_train.json --images files.zip --output dataset

Any Apache Beam option is passed through (--runner, --direct_num_workers, ...).
"""


def help_text() -> str:
    """The command's help: this project's options, not the hundreds of Beam's."""
    own = type(parser(ConvertOptions))(add_help=False, usage="")
    ConvertOptions._add_argparse_args(own)
    options = own.format_help().split("\n", 1)[1].lstrip("\n")
    return f"{HELP}\n{options}"


def convert(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: What follows ``convert``.

    Raises:
        BeamMatError: With the exit code that it stands for.
    """
    _, unknown = parser(ConvertOptions).parse_known_args(list(argv))
    options = PipelineOptions(list(argv))
    job = resolve(options, unknown)
    begin = time.monotonic()
    console = Console()
    where = "in this process" if job.runner == IN_PROCESS else f"on {job.runner}"
    console.print(
        f"Converting {len(job.shards)} JSON shard(s) and {len(job.sources)} image source(s) {where}"
    )
    publish.prepare(job.settings)
    if not is_local(job.runner):
        _hear_of_the_job()
    with contextlib.ExitStack() as stack:
        settings = job.settings
        if is_local(job.runner):
            size = sum(shard.size for shard in job.shards)
            receiver = stack.enter_context(progress.shown(size))
            settings = msgspec.structs.replace(settings, progress=receiver.address)
        spent = run(job, settings, options)
    totals = add_up(job)
    summary.show(console, totals, time.monotonic() - begin, spent)
    _hold_to_limit(job, totals)
    publish.publish(job, totals)
    console.print(summary.next_command(job, totals), soft_wrap=True)


def _hear_of_the_job() -> None:
    # A service tells of its job, its address and its troubles in the log, and nowhere else.
    logging.getLogger().setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.INFO)


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
