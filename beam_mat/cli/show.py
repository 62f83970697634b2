"""``beam-mat show``: prints one trajectory, or rejected records."""

from __future__ import annotations

from collections.abc import Sequence

from beam_mat.cli.command_line import CommandLine
from beam_mat.cli.loading import loading
from beam_mat.cli.output_argument import add_output, output_of
from beam_mat.cli.values import whole_number
from beam_mat.core.errors import ConfigError
from beam_mat.show.arguments import FIRST_REJECTS, ShowArguments


def command_line() -> CommandLine:
    """The arguments of the command."""
    line = CommandLine(
        "show",
        "Prints one trajectory of a dataset turn by turn, with its images, or the records that "
        "were rejected, with what to do about each. It reads the output of beam-mat convert, and "
        "any folder of sharegpt files with a dataset_info.json.",
        (
            "beam-mat show dataset",
            "beam-mat show dataset --index 12 --full",
            "beam-mat show dataset --id i0AjblJ-",
            "beam-mat show dataset --rejected",
            "beam-mat show gs://bucket/datasets/mat --rejected --index 3",
        ),
        more="Exit codes: 0 shown, 1 failed, 2 configuration, or there is no such row.",
    )
    add_output(line, "DATASET", "the dataset's folder")
    which = line.add_mutually_exclusive_group()
    which.add_argument("--id", metavar="ID", help="the first row with this id")
    index = which.add_argument(
        "--index", metavar="N", help="row N, from 0, the validation set last (default: 0)"
    )
    line.check(index, whole_number(0))
    line.add_argument(
        "--rejected",
        action="store_true",
        help=f"show rejected records: the first {FIRST_REJECTS}, or the one named",
    )
    line.add_argument(
        "--name", metavar="ENTRY", help="only rows of this entry of dataset_info.json"
    )
    line.add_argument(
        "--full",
        action="store_true",
        help="shorten nothing: neither the system prompt nor long records",
    )
    return line


def run(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: What follows ``show``.

    Raises:
        BeamMatError: With the exit code that it stands for.
    """
    typed, faults = command_line().parse(argv)
    if typed.rejected and typed.name is not None:
        faults.append(f"--name {typed.name}: rejected records are in no entry; remove --name")
    if faults:
        raise ConfigError(faults)
    asked = ShowArguments(
        folder=output_of(typed, writes=False),
        id=typed.id,
        index=typed.index,
        name=typed.name,
        full=typed.full,
    )
    with loading():
        from rich.console import Console

        from beam_mat.show.draw import Drawing
        from beam_mat.show.rejects import show_rejects
        from beam_mat.show.row import show_row
    drawing = Drawing(Console(), asked.folder, full=asked.full)
    (show_rejects if typed.rejected else show_row)(asked, drawing)
    return 0
