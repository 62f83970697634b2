"""``beam-mat publish``: publishes what a job without a driver has written."""

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import add_output, output_of
from beam_mat.runners.logs import printed


def command_line() -> CommandLine:
    line = CommandLine(
        "publish",
        "Publishes the dataset of a finished job whose driver has ended: the job was started with "
        "--detach, or its driver died.",
        ("beam-mat publish gs://bucket/datasets/mat", "beam-mat publish dataset"),
        more="Exit codes: 0 done, 1 the job is not finished or failed, 2 configuration, 3 more "
        "rejected than allowed, or no record accepted.",
    )
    return add_output(line, "OUTPUT", "the job's --output")


def run(argv: list[str]) -> int:
    typed = command_line().read(argv)
    output = output_of(typed.output, typed.storage_options, writes=True)
    from rich.console import Console

    from beam_mat.convert.driver import publish

    with printed():
        return publish(output, Console())
