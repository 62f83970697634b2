"""``beam-mat log``: lists the generations of a dataset."""

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import add_output, output_of


def command_line() -> CommandLine:
    line = CommandLine(
        "log",
        "Lists the generations of a dataset: how many records and images each one has, and what "
        "came and went with it. diff and mat-trainer read generation N as DATASET@N.",
        ("beam-mat log dataset", "beam-mat log gs://bucket/datasets/mat --json"),
    )
    line.add_argument("--json", action="store_true", help="print one JSON object per generation")
    return add_output(line, "DATASET", "the dataset")


def run(argv: list[str]) -> None:
    typed = command_line().read(argv)
    output = output_of(typed.output, typed.storage_options, writes=False)
    from rich.console import Console

    from beam_mat.report.printed import print_log, read_log

    print_log(read_log(output), None if typed.json else Console())
