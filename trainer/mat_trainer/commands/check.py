"""``mat-trainer check``: all that can fail before the first step, found before it costs a GPU."""

from __future__ import annotations

import argparse
import sys

from mat_trainer.commands import recipe_options, topology_options
from mat_trainer.commands.preflight import asked, preflight, say_asked


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "check",
        help="preflight: find everything that would fail, all faults at once",
        description="Stages and verifies the dataset, asks LLaMA-Factory's own parser about the "
        "settings, measures every row with the model's tokenizer, and looks at GPUs, versions and "
        "the output folder. Trains nothing. Exit code 4 when something would fail.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    recipe_options.add_options(parser)
    parser.add_argument("--output-dir", metavar="DIR", help="default: the recipe's own")
    topology_options.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Checks, and prints what was found.

    Raises:
        ConfigError: What was asked for cannot be.
        PreflightError: It would fail.
    """
    job = asked(args)
    say_asked(job, _say)
    preflight(job, None, _say)
    _say("ready", "nothing found that would fail")
    return 0


def _say(subject: str, words: str) -> None:
    sys.stdout.write(f"{subject:<13}{words}\n")
    sys.stdout.flush()
