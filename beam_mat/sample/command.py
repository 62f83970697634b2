"""``beam-mat sample``: a made-up set from a command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from beam_mat.command_line import CommandLine
from beam_mat.core.errors import ConfigError
from beam_mat.sample.write import SampleSummary, write_sample


def command_line() -> CommandLine:
    """The command's words."""
    line = CommandLine(
        "sample",
        "Makes a small MAT-shaped set, JSON shards and files.zip, to try things out.",
        (
            "beam-mat sample demo",
            "beam-mat sample demo --records 200 --images 60 --shards 3",
            "beam-mat sample demo --faults",
        ),
    )
    line.add_argument("folder", metavar="DIR", type=Path, help="a new or empty folder")
    line.add_argument(
        "--records", type=int, default=40, metavar="N", help="how many (default: %(default)s)"
    )
    line.add_argument(
        "--images", type=int, default=30, metavar="N", help="how many (default: %(default)s)"
    )
    line.add_argument(
        "--shards", type=int, default=1, metavar="N", help="JSON files (default: %(default)s)"
    )
    line.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another gives another set (default: 0)"
    )
    line.add_argument(
        "--faults", action="store_true", help="also one record or image for every reject reason"
    )
    return line


def sample(argv: Sequence[str]) -> tuple[SampleSummary, Path]:
    """Runs the command, and returns what was made, and where.

    Args:
        argv: What follows ``sample``.

    Raises:
        BeamMatError: The words, or the folder, cannot be.
    """
    typed = command_line().read(argv)
    try:
        made = write_sample(
            typed.folder,
            records=typed.records,
            images=typed.images,
            shards=typed.shards,
            seed=typed.seed,
            faults=typed.faults,
        )
    except (FileExistsError, ValueError) as error:
        raise ConfigError([str(error)]) from None
    return made, typed.folder
