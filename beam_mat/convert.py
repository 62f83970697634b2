"""``beam-mat convert``: from a command line to a published dataset."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from beam_mat import earlier, progress, publish, summary
from beam_mat.command_line import CommandLine
from beam_mat.config import DATAFLOW, IN_PROCESS, PRISM, Job, is_local, parser, resolve
from beam_mat.core.errors import SourceError
from beam_mat.finish import finish
from beam_mat.options import ConvertOptions
from beam_mat.run import hold_off, run
from beam_mat.storage import lease
from beam_mat.storage.lease import Lease

EXAMPLES = (
    "beam-mat convert --json mat_train.json --images files.zip --output dataset",
    "beam-mat convert --json 'shards/*.json' --images unzipped/ more.zip --output dataset",
    "beam-mat convert --json mat_train.json --images files.zip --output first --limit 100",
    "beam-mat convert --json hf://datasets/PengxiangLi/MAT/mat_train.json "
    "--images hf://datasets/PengxiangLi/MAT/files.zip --output gs://bucket/mat",
)
WANTED = (
    "--json URI ...     the trajectories, such as MAT's mat_train.json",
    "--images URI ...   zips or folders with their images, such as MAT's files.zip",
    "--output URI       a new folder for the dataset",
)
MORE = """\
Any Apache Beam option is passed through (--runner, --direct_num_workers, ...).
Exit codes: 0 done, 1 failed, 2 configuration, 3 more rejected than --max-rejected allows.
"""


def command_line() -> CommandLine:
    """The command's own options, not the hundreds of Beam's."""
    line = CommandLine(
        "convert",
        "Makes a LLaMA-Factory dataset out of MAT shards and image zips.",
        EXAMPLES,
        usage="beam-mat convert --json URI [URI ...] --images URI [URI ...] --output URI [options]",
        more=MORE,
    )
    ConvertOptions._add_argparse_args(line)
    return line


def help_text() -> str:
    """The command's help."""
    return command_line().format_help().rstrip()


def convert(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: What follows ``convert``.

    Raises:
        BeamMatError: With the exit code that it stands for.
    """
    command_line().hold_to_words(argv, WANTED)
    _, unknown = parser(ConvertOptions).parse_known_args(list(argv))
    options = PipelineOptions(list(argv))
    job = resolve(options, unknown)
    console = Console()
    with lease.held(job.settings.output, console.print) as held:
        hold_off(job.settings.output)
        plan = earlier.plan(job)
        if plan.done:
            console.print(summary.nothing_to_do(job.settings.output, plan.done), soft_wrap=True)
            return
        publish.prepare(plan)
        _carry_out(plan.job, options, console, held)


def _carry_out(job: Job, options: PipelineOptions, console: Console, held: Lease) -> None:
    begin = time.monotonic()
    where = "in this process" if job.runner == IN_PROCESS else f"on {job.runner}"
    goes_on = ", going on from what an earlier run did" if job.settings.again else ""
    console.print(
        f"Converting {len(job.shards)} JSON shard(s) and {len(job.sources)} image source(s) "
        f"{where}{goes_on}"
    )
    if job.runner not in (IN_PROCESS, PRISM, DATAFLOW):
        _hear_of_the_job()
    with contextlib.ExitStack() as stack:
        settings = job.settings
        if is_local(job.runner):
            size = sum(shard.size for shard in job.shards)
            receiver = stack.enter_context(progress.shown(size))
            settings = msgspec.structs.replace(settings, progress=receiver.address)
        try:
            spent = run(job, settings, options)
        except (OSError, RuntimeError, SourceError):
            publish.hold_inputs(job)  # an input that changed is the cause, whatever came of it
            raise
    if spent is None:
        return
    finish(job, console, held, begin, spent)


def _hear_of_the_job() -> None:
    # A service tells of its job, its address and its troubles in the log, and nowhere else.
    logging.getLogger().setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.INFO)
