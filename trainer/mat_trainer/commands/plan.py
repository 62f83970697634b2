"""``mat-trainer plan``: prints what `run` would do; starts, fetches and writes nothing."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mat_trainer.commands import options, pinning, resuming
from mat_trainer.core import recipe as recipes
from mat_trainer.core import steps as counting
from mat_trainer.core.command import Launch, launch
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.plan import Plan, bind
from mat_trainer.core.recipe import Recipe
from mat_trainer.dataset.cache import default_cache
from mat_trainer.dataset.stage import StagedDataset


def add_parser(subparsers: options.Subparsers) -> None:
    """Adds the subcommand."""
    parser = options.add_command(
        subparsers,
        "plan",
        run,
        help="print the YAML, command and environment; start nothing",
        description="Prints what `run` would pass to LLaMA-Factory. Reads the recipe and the "
        "dataset's manifest. Starts, fetches and writes nothing, and needs no LLaMA-Factory.",
    )
    options.add_training(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the plan.

    Raises:
        ConfigError: The recipe, the dataset or the topology is invalid.
    """
    recipe = recipes.load(args.recipe, args.set)
    cache = default_cache()
    output_dir = options.output_dir(args.output_dir, recipe)
    settled = pinning.settle(args.dataset, output_dir, args.resume)
    dataset = options.place(settled.found, cache, recipe)
    plan = bind(
        recipe,
        options.dataset_facts(dataset),
        output_dir,
        model=options.tiny_model(recipe, cache),
    )
    topology = options.topology(args, recipe)
    nproc = topology.nproc_per_node
    processes = None if nproc is None else topology.nnodes * nproc
    start = launch(
        options.yaml_path(plan.output_dir),
        topology,
        plan.log_dir,
        sys.executable,
        deepspeed=plan.deepspeed,
    )
    standing = resuming.look(
        Path(plan.output_dir), resuming.record_of(recipe, dataset), args.resume
    )
    if standing.faults:
        raise ConfigError(*standing.faults)
    notices = [
        *plan.notices,
        *settled.notices,
        *dataset.choice.notices,
        *standing.notices,
    ]
    if standing.is_finished:
        notices.append(f"{plan.output_dir}: this run has finished already; `run` would do nothing")
    plan = msgspec.structs.replace(plan, notices=tuple(notices))
    sys.stdout.write("\n".join(_lines(recipe, dataset, plan, start, processes)) + "\n")
    return 0


def _lines(
    recipe: Recipe, dataset: StagedDataset, plan: Plan, start: Launch, processes: int | None
) -> Iterator[str]:
    yield from _row("recipe", f"{recipe.name}: {recipe.about}" if recipe.about else recipe.name)
    several = "entries" if len(dataset.training) > 1 else "entry"
    yield from _row("dataset", f"{dataset.uri}, {several} {dataset.name}")
    yield from _row("rows", rows(plan))
    yield from _row("steps", counting.words(plan.settings, plan.used, processes))
    if recipe.tiny_model:
        yield from _row("model", "tiny and random; `run` makes it before training")
    yield from _row("remote code", remote_code(recipe))
    for notice in plan.notices:
        yield from _row("notice", notice)
    yield from (
        "",
        f"{options.yaml_path(plan.output_dir)}:",
        "",
        textwrap.indent(plan.yaml(), "  "),
    )
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
    """How many of the dataset's rows are used, and why not more."""
    said = f"{plan.used:,} of {plan.rows:,} are trained on"
    if plan.used + plan.held_out < plan.rows:
        most = plan.settings["max_samples"]
        each = " of each entry" * ("," in plan.settings["dataset"])
        said += f"; max_samples is {most:,}{each}, for all rows: --set max_samples=null"
    if plan.held_out:
        said += f"; {plan.held_out:,} are held out for evaluation (val_size)"
    return f"{said}; `check` counts the rows longer than cutoff_len, which are left out"


def remote_code(recipe: Recipe) -> str:
    """Whether Python code from the model's folder is run."""
    if recipe.trusts_remote_code:
        model = recipe.settings.get("model_name_or_path")
        return (
            f"ON (trust_remote_code): Python code in {model} is run, if any; to turn it off: "
            "--set trust_remote_code=null"
        )
    return "off: trust_remote_code is not set"
