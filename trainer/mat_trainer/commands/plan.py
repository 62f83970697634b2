"""``mat-trainer plan``: what `run` would do, with nothing started, fetched or written."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator

import msgspec

from mat_trainer.commands import pinning, recipe_options, topology_options
from mat_trainer.core.command import Launch, launch
from mat_trainer.core.plan import Plan, bind
from mat_trainer.core.recipe import Recipe
from mat_trainer.dataset.cache import default_cache
from mat_trainer.dataset.stage import StagedDataset
from mat_trainer.launch import checkpoints


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "plan",
        help="print YAML, command and environment; start nothing",
        description="Prints what `run` would give to LLaMA-Factory. Reads the recipe and the "
        "dataset's manifest; starts, fetches and writes nothing, and needs no LLaMA-Factory.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    recipe_options.add_options(parser)
    parser.add_argument("--output-dir", metavar="DIR", help="default: the recipe's own")
    topology_options.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the plan.

    Raises:
        ConfigError: The recipe, the dataset or the topology cannot be.
    """
    recipe = recipe_options.recipe(args)
    cache = default_cache()
    output_dir = recipe_options.output_dir(args.output_dir, recipe)
    settled = pinning.settle(args.dataset, output_dir, checkpoints.AUTO)
    dataset = recipe_options.place(settled.found, cache, recipe)
    plan = bind(
        recipe,
        recipe_options.dataset_facts(dataset),
        output_dir,
        model=str(recipe_options.tiny_model_dir(cache)) if recipe.tiny_model else None,
    )
    start = launch(
        plan.yaml_path,
        topology_options.topology(args, recipe),
        plan.log_dir,
        sys.executable,
        deepspeed=plan.deepspeed,
    )
    plan = msgspec.structs.replace(plan, notices=(*plan.notices, *settled.notices))
    sys.stdout.write("\n".join(_lines(recipe, dataset, plan, start)) + "\n")
    return 0


def _lines(recipe: Recipe, dataset: StagedDataset, plan: Plan, start: Launch) -> Iterator[str]:
    yield from _row("recipe", f"{recipe.name}: {recipe.about}" if recipe.about else recipe.name)
    yield from _row("dataset", f"{dataset.uri}, entry {dataset.entry.name}")
    yield from _row("rows", rows(plan))
    if recipe.tiny_model:
        yield from _row("model", "tiny and random, made by `run` before training")
    yield from _row("remote code", remote_code(recipe))
    for notice in plan.notices:
        yield from _row("notice", notice)
    yield from ("", f"{plan.yaml_path}:", "", textwrap.indent(plan.yaml(), "  "))
    yield from ("command:", "", textwrap.indent(start.shell(), "  "))


def _row(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        width=100,
        initial_indent=f"{label:<13}",
        subsequent_indent=" " * 13,
        break_long_words=False,
        break_on_hyphens=False,
    )


def rows(plan: Plan) -> str:
    """How many of the dataset's rows are trained on, and why not more."""
    said = f"{plan.used:,} of {plan.rows:,} are trained on"
    if plan.used + plan.held_out < plan.rows:
        most = plan.settings["max_samples"]
        said += f"; max_samples is {most:,}, --set max_samples=null lifts it"
    if plan.held_out:
        said += f"; {plan.held_out:,} are held out for evaluation (val_size)"
    return f"{said}; less the rows longer than cutoff_len, which `check` counts"


def remote_code(recipe: Recipe) -> str:
    """Whether code that comes with the model is run."""
    if recipe.trusts_remote_code:
        model = recipe.settings.get("model_name_or_path")
        return (
            f"ON (trust_remote_code): Python code that comes with {model} is run, if it has any; "
            "--set trust_remote_code=null turns it off"
        )
    return "off: trust_remote_code is not set"
