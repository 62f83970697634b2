"""``beam-mat vacuum``: removes the files that no kept generation needs."""

from beam_mat.cli import values
from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.options import add_output, output_of
from beam_mat.runners.logs import printed


def command_line() -> CommandLine:
    line = CommandLine(
        "vacuum",
        "Removes the files of a dataset that no kept generation needs, and prints their number "
        "and size.",
        ("beam-mat vacuum dataset --dry-run", "beam-mat vacuum gs://bucket/mat --keep 10"),
    )
    line.add_argument(
        "--keep",
        type=values.generations,
        metavar="N|all",
        help="how many generations to keep (default: as many as the dataset keeps)",
    )
    line.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    return add_output(line, "DATASET", "the dataset")


def run(argv: list[str]) -> None:
    typed = command_line().read(argv)
    output = output_of(typed.output, typed.storage_options, writes=True)
    from rich.console import Console

    from beam_mat.convert.driver import vacuum

    with printed():
        vacuum(output, Console(), keep=typed.keep, dry_run=typed.dry_run)
