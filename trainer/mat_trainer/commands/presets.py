"""``mat-trainer presets``: the recipes that come with this package."""

from __future__ import annotations

import argparse

from rich import box
from rich.console import Console
from rich.table import Table

from mat_trainer.core import presets
from mat_trainer.core import recipe as recipes

_PIPED_WIDTH = 200  # columns: a line a recipe, for grep


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "presets",
        help="list the recipes that come with it",
        description="Lists the recipes that come with mat-trainer.",
    )
    parser.set_defaults(run=run)


def run(_args: argparse.Namespace) -> int:
    """Prints the table."""
    table = Table("recipe", "model", "template", "memory", "", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    for name in presets.names():
        recipe = recipes.load(name)
        model = "made on the spot" if recipe.tiny_model else recipe.settings["model_name_or_path"]
        table.add_row(name, model, recipe.settings["template"], recipe.memory, recipe.about)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH)
    console.print(table)
    return 0
