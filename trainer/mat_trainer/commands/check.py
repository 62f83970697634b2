"""``mat-trainer check``: finds what would make training fail before it takes a GPU."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from mat_trainer.commands import options
from mat_trainer.commands.preflight import asked, preflight, say, say_asked, say_finished
from mat_trainer.launch import owner


def add_parser(subparsers: options.Subparsers) -> None:
    """Adds the subcommand."""
    parser = options.add_command(
        subparsers,
        "check",
        run,
        help="report everything that would make training fail, all at once",
        description="Stages and verifies the dataset, has LLaMA-Factory's own parser check the "
        "settings, measures every row with the model's tokenizer, and checks GPUs, versions and "
        "the output folder. Trains nothing. Exit code 4 if training would fail.",
    )
    options.add_training(parser)


def run(args: argparse.Namespace) -> int:
    """Checks, and prints the results.

    Raises:
        ConfigError: The options, the recipe or the dataset are invalid.
        PreflightError: Training would fail.
    """
    job, show = asked(args), partial(say, out=sys.stdout)
    say_asked(job, show)
    if job.standing.is_finished:
        say_finished(job, show)
        return 0
    held = owner.fault(Path(job.output_dir))
    preflight(job, None, show, faults=[held] if held else [])
    show("ready", "found nothing that would make training fail")
    return 0
