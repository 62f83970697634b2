"""``mat-trainer presets``: lists the recipes that come with this package."""

from __future__ import annotations

import argparse

from rich import box
from rich.console import Console
from rich.table import Table

from mat_trainer.commands import options
from mat_trainer.core import recipe as recipes

_PIPED_WIDTH = 200  # columns: one line for each recipe, for grep


def add_parser(subparsers: options.Subparsers) -> None:
    """Adds the subcommand."""
    options.add_command(
        subparsers,
        "presets",
        run,
        help="list the recipes that come with mat-trainer",
        description="Lists the recipes that come with mat-trainer.",
    )


def run(_args: argparse.Namespace) -> int:
    """Prints the table."""
    table = Table("recipe", "model", "template", "memory", "", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    for name in recipes.preset_names():
        recipe = recipes.load(name)
        model = "made by run" if recipe.tiny_model else recipe.settings["model_name_or_path"]
        table.add_row(name, model, recipe.settings["template"], recipe.memory, recipe.about)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH)
    console.print(table)
    return 0
