"""``mat-trainer status``: how a run is doing."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from mat_trainer.commands import options
from mat_trainer.core.control import EXIT_SAVED
from mat_trainer.core.errors import MatTrainerError
from mat_trainer.launch import owner
from mat_trainer.launch.owner import Owner
from mat_trainer.status import folder as folders
from mat_trainer.status import report
from mat_trainer.status.log import NAME
from mat_trainer.status.plot import plot

PLOT = "loss.png"
WIDEST = 100
COLOURS = {
    report.FINISHED: "green",
    report.RUNNING: "cyan",
    report.SILENT: "red",
    report.ENDED: "red",
}


def add_parser(subparsers: options.Subparsers) -> None:
    """Adds the subcommand."""
    parser = options.add_command(
        subparsers,
        "status",
        run,
        help="progress, loss, speed and time left of a run",
        description="Shows progress, loss, speed and time left of a run, from the log that "
        "LLaMA-Factory writes. Only reads. Exit code 1 if nothing is logged yet.",
    )
    parser.add_argument("folder", metavar="DIR", type=_folder, help="the run's --output-dir")
    parser.add_argument(
        "--plot",
        nargs="?",
        const="",
        metavar="PNG",
        help=f"write the loss curve as a picture; default: DIR/{PLOT}",
    )


def run(args: argparse.Namespace) -> int:
    """Shows a run. Returns 1 if there is nothing to show yet.

    Raises:
        ConfigError: There is no such folder.
        MatTrainerError: The picture cannot be drawn.
    """
    folder = folders.read(args.folder)
    if (life := owner.life(args.folder)) is not None:
        folder = msgspec.structs.replace(folder, is_alive=life.is_alive, end=_end(life.owner))
    console = Console(file=sys.stdout, highlight=False)
    plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") not in ("utf8", "utf16")
    lines = report.report(folder, time.time(), min(console.width, WIDEST), plain=plain)
    if not lines or folder.log is None:
        began = (
            " yet; the logs of its ranks are in logs/" if folder.last_word is not None else " yet"
        )
        said = f"{args.folder} has nothing in {NAME}{began}"
        if folder.is_alive is not None:
            state = report.RUNNING if folder.is_alive else f"it {report.ENDED}: {folder.end}"
            said = f"{said}; {state}"
        console.print(said, markup=False, soft_wrap=True)
        return 1
    for line in lines:
        console.print(_coloured(line), soft_wrap=True)
    if args.plot is not None:
        if len(folder.log.losses) < 2:
            raise MatTrainerError(
                "--plot: the log has fewer than two losses so far; try again later"
            )
        path = Path(args.plot) if args.plot else args.folder / PLOT
        plot(folder.log, args.folder.resolve().name, path)
        console.print(f"{'plot':<14}{path}", markup=False, soft_wrap=True)
    return 0


def _end(owner: Owner) -> str:
    """How a launcher ended."""
    if not owner.ended:
        return f"its launcher, {owner.words()}, was killed"
    if owner.code is None:
        return "before training began; it said why"
    if owner.code == EXIT_SAVED:
        return "on request, with a checkpoint saved; the same command resumes"
    if owner.code == 0:
        return "with exit code 0"
    return f"with exit code {owner.code}; see the logs of its ranks in logs/"


def _folder(typed: str) -> Path:
    return Path(typed).expanduser()


def _coloured(line: str) -> Text:
    text = Text(line)
    if line[:1] in "█▏▎▍▌▋▊▉#":
        text.stylize("green", 0, line.find("%") + 1)
    elif "│" in line:
        text.stylize("blue", line.index("│") + 1)
    elif line.startswith("state"):
        for words, colour in COLOURS.items():
            if words in line:
                text.stylize(colour, 14)
    return text
