"""The options that say what is trained: of ``plan``, ``check`` and ``run``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import mat_trainer
from mat_trainer.core import recipe as recipes
from mat_trainer.core.plan import DatasetFacts
from mat_trainer.core.recipe import Recipe
from mat_trainer.dataset import stage
from mat_trainer.dataset.resolve import Resolved
from mat_trainer.dataset.stage import StagedDataset


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds them to a subcommand."""
    parser.add_argument("recipe", metavar="RECIPE", help="a preset's name or a YAML file")
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="URI",
        help="a dataset of beam-mat: a local folder, gs://, s3:// or what else fsspec reaches; of "
        "one that beam-mat watch keeps current URI@42 is a generation, URI the newest",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting; KEY=null leaves it out, such as max_samples=null for all rows",
    )


def recipe(args: argparse.Namespace) -> Recipe:
    """The recipe as typed. Errors as in `mat_trainer.core.recipe.load`."""
    return recipes.load(args.recipe, args.set)


def dataset_facts(dataset: StagedDataset) -> DatasetFacts:
    """What a plan has to know of a dataset."""
    return DatasetFacts(
        name=dataset.entry.name,
        dataset_dir=str(dataset.path),
        media_dir=str(dataset.media_dir),
        rows=dataset.entry.rows,
    )


def place(found: Resolved, cache: Path, recipe: Recipe) -> StagedDataset:
    """Where the dataset lies or will lie. Errors as in `mat_trainer.dataset.stage.place`."""
    settings = recipe.settings
    return stage.place(found, cache, settings.get("dataset"), settings.get("eval_dataset"))


def output_dir(typed: str | None, recipe: Recipe) -> str | None:
    """The output folder, absolute: what is typed, else the recipe's; None where there is none."""
    folder = typed or recipe.settings.get("output_dir")
    return os.path.abspath(folder) if folder else None


def tiny_model_dir(cache: Path) -> Path:
    """Where the launcher makes the model of a recipe with `Recipe.tiny_model`."""
    return cache / f"tiny-qwen2-vl-{mat_trainer.__version__}"
