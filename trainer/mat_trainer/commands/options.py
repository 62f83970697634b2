"""The options that several subcommands share, and the values that they stand for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from os.path import expanduser
from pathlib import Path
from typing import TypeAlias

import mat_trainer
from mat_trainer.core.command import DEFAULT_PORT, Topology
from mat_trainer.core.plan import DatasetFacts
from mat_trainer.core.recipe import Recipe
from mat_trainer.dataset import stage
from mat_trainer.dataset.resolve import Resolved
from mat_trainer.dataset.stage import StagedDataset
from mat_trainer.launch import checkpoints

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
DATASET = (
    "a dataset of beam-mat: a local folder, gs://, s3:// or another address that fsspec reads; "
    "URI@42 is one of its generations"
)


def add_command(
    subparsers: Subparsers,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help: str,
    description: str,
) -> argparse.ArgumentParser:
    """Adds a subcommand without options."""
    parser = subparsers.add_parser(name, help=help, description=description, allow_abbrev=False)
    parser.set_defaults(run=run)
    return parser


def add_recipe(parser: argparse.ArgumentParser, dataset: str = DATASET) -> None:
    """Adds the options for what is trained."""
    parser.add_argument(
        "recipe", metavar="RECIPE", type=expanduser, help="the name of a preset, or a YAML file"
    )
    parser.add_argument("--dataset", required=True, metavar="URI", type=expanduser, help=dataset)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting; KEY=null removes it, such as max_samples=null to use all rows",
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Adds the options for what is trained, where to write, and how many processes train where."""
    add_recipe(parser)
    parser.add_argument(
        "--output-dir",
        type=expanduser,
        metavar="DIR",
        help="for checkpoints and logs, shared by all nodes; default: the recipe's own",
    )
    add_resume(parser)
    add = parser.add_argument_group("nodes and processes").add_argument
    add(
        "--nproc-per-node",
        type=int,
        metavar="N",
        help="processes on this node; default: one for each GPU, or one if the recipe uses the CPU",
    )
    add("--nnodes", type=int, default=1, metavar="N", help="default: %(default)s")
    add("--node-rank", type=int, default=0, metavar="R", help="number of this node, from 0")
    add(
        "--master-addr",
        default=Topology().master_addr,
        metavar="A",
        help="name or address of node 0 as the other nodes reach it; needed for several nodes",
    )
    add(
        "--master-port",
        type=int,
        default=DEFAULT_PORT,
        metavar="P",
        help="a free port of node 0, the same on all nodes; default: %(default)s; one node takes "
        "another port if this one is in use",
    )


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Adds the option for what to do with an earlier run in the output folder."""
    parser.add_argument(
        "--resume",
        choices=(checkpoints.AUTO, checkpoints.NEVER),
        default=checkpoints.AUTO,
        help="auto resumes from the last complete checkpoint, never trains anew; default: "
        "%(default)s",
    )


def topology(args: argparse.Namespace, recipe: Recipe) -> Topology:
    """Nodes and processes, which `mat_trainer.core.command.launch` checks."""
    nproc = args.nproc_per_node
    if nproc is None and recipe.on_cpu:
        nproc = 1
    return Topology(nproc, args.nnodes, args.node_rank, args.master_addr, args.master_port)


def dataset_facts(dataset: StagedDataset) -> DatasetFacts:
    """The dataset's facts for a plan."""
    return DatasetFacts(
        rows={entry.name: entry.rows for entry in dataset.training},
        dataset_dir=str(dataset.path),
        media_dir=str(dataset.media_dir),
    )


def place(found: Resolved, cache: Path, recipe: Recipe) -> StagedDataset:
    """Where the dataset is or will be. Errors as in `mat_trainer.dataset.stage.place`."""
    return stage.place(found, cache, recipe.data)


def output_dir(typed: str | None, recipe: Recipe) -> str | None:
    """The output folder as an absolute path: --output-dir, else the recipe's, else None."""
    folder = typed or recipe.settings.get("output_dir")
    return os.path.abspath(folder) if folder else None


def yaml_path(output_dir: str, node_rank: int = 0, elsewhere: str = "/tmp/mat-trainer") -> str:
    """The file of settings of a node: the dataset may be staged at different places.

    LLaMA-Factory's launcher splits its arguments at spaces.

    Args:
        output_dir: The run's folder.
        node_rank: The node's number.
        elsewhere: A folder without spaces, for an output folder that has some.
    """
    name = "train.yaml" if node_rank == 0 else f"train-node-{node_rank}.yaml"
    return f"{elsewhere if len(output_dir.split()) > 1 else output_dir}/{name}"


def tiny_model(recipe: Recipe, cache: Path) -> str | None:
    """The folder of the tiny model that the launcher makes, for a recipe that trains it."""
    return f"{cache}/tiny-qwen2-vl-{mat_trainer.__version__}" if recipe.tiny_model else None
