"""Everything that can be known before the first step: of ``check`` and ``run``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from mat_trainer.commands import pinning, recipe_options, topology_options
from mat_trainer.commands.pinning import Settled
from mat_trainer.core import command, lengths, traps
from mat_trainer.core.errors import ConfigError, PreflightError
from mat_trainer.core.lengths import Over
from mat_trainer.core.node import Software
from mat_trainer.core.plan import bind
from mat_trainer.core.recipe import Recipe
from mat_trainer.core.topology import Topology
from mat_trainer.dataset.cache import default_cache
from mat_trainer.dataset.filtered import leave_out
from mat_trainer.dataset.lengths import measure
from mat_trainer.dataset.stage import StagedDataset, stage
from mat_trainer.launch import checkpoints, workers
from mat_trainer.launch.software import software

T = TypeVar("T")
Say = Callable[[str, str], None]
"""Tells the user what a look has found: the subject, a sentence."""


class Asked(msgspec.Struct, frozen=True):
    """What was typed, read and found possible as such; nothing has been fetched or started.

    Attributes:
        recipe: The settings.
        topology: Nodes and processes.
        settled: Which dataset, and which generation of it.
        dataset: Where the dataset lies or will lie on this machine.
        output_dir: Absolute.
        cache: The folder for what is staged, measured and filtered.
    """

    recipe: Recipe
    topology: Topology
    settled: Settled
    dataset: StagedDataset
    output_dir: str
    cache: Path

    @property
    def model(self) -> str | None:
        """The tiny model's folder, for a recipe that trains one."""
        if not self.recipe.tiny_model:
            return None
        return str(recipe_options.tiny_model_dir(self.cache))

    @property
    def settings(self) -> dict[str, object]:
        """The recipe's settings, with the model that is trained."""
        model = {"model_name_or_path": self.model} if self.model else {}
        return {**model, **self.recipe.settings}


class Ready(msgspec.Struct, frozen=True):
    """What training will use.

    Attributes:
        dataset: As LLaMA-Factory is told of it, without the rows that are too long.
        over: Rows that are too long.
        nproc_per_node: Processes on this node.
    """

    dataset: StagedDataset
    over: Over
    nproc_per_node: int


def asked(args: argparse.Namespace) -> Asked:
    """Reads what was typed.

    Raises:
        ConfigError: It cannot be.
    """
    recipe = recipe_options.recipe(args)
    topology = topology_options.topology(args, recipe)
    faults = command.faults(topology)
    output_dir = recipe_options.output_dir(args.output_dir, recipe)
    if output_dir is None:
        faults.append("--output-dir is missing, and the recipe names none")
    cache = default_cache()
    settled = dataset = None
    try:
        resume = getattr(args, "resume", checkpoints.AUTO)
        settled = pinning.settle(args.dataset, output_dir, resume)
        dataset = recipe_options.place(settled.found, cache, recipe)
    except ConfigError as error:
        faults += error.faults
    if faults or settled is None or dataset is None or output_dir is None:
        raise ConfigError(faults)
    return Asked(recipe, topology, settled, dataset, output_dir, cache)


def adopt(job: Asked, generation: int | None) -> Asked:
    """The same on the generation that node 0 has settled on. Errors as in `pinning.adopt`."""
    settled = pinning.adopt(job.settled, generation)
    dataset = recipe_options.place(settled.found, job.cache, job.recipe)
    return msgspec.structs.replace(job, settled=settled, dataset=dataset)


def say_asked(job: Asked, say: Say) -> None:
    """Tells what there is to say before anything is looked at."""
    for notice in (*job.recipe.notices, *job.settled.notices):
        say("notice", notice)
    decides = job.topology.node_rank == 0 or not job.settled.is_open
    if job.dataset.generation is not None and decides:
        say("generation", pinning.words(job.dataset, job.settled))


def preflight(job: Asked, installed: Software | None, say: Say) -> Ready:
    """Stages and looks at everything that training will use.

    Args:
        job: What `asked` made of it.
        installed: What is installed here; None if that is still to be found out.
        say: Told what is found, also where it is no fault.

    Raises:
        PreflightError: With everything that was found, however many of these looks fail.
    """
    faults: list[str] = []

    def tried(look: Callable[[], T]) -> T | None:
        try:
            return look()
        except (ConfigError, PreflightError) as error:
            faults.extend(error.faults)
            return None

    found = installed or tried(software)
    nproc = processes(job.topology, found)
    if found:
        say("software", _versions(found))
        faults += _gpu_faults(job.recipe, found, nproc)
        if model := job.model:
            tried(lambda: workers.make_tiny_model(Path(model)))
    faults += output_faults(Path(job.output_dir))
    faults += _model_faults(job)
    faults += traps.faults(job.recipe.settings)
    staged = tried(
        lambda: stage(
            job.settled.found.address,
            job.cache,
            job.recipe.settings.get("dataset"),
            job.recipe.settings.get("eval_dataset"),
        )
    )
    if staged:
        entry = f"{staged.entry.name} of {staged.uri}, {staged.entry.rows:,} rows"
        say("dataset", f"{entry}, verified: {staged.path}")
    if staged and found:
        if fault := tried(lambda: workers.parser_fault(_plan_yaml(job, staged))):
            faults.append(f"LLaMA-Factory refuses the settings: {fault}")
        ready = tried(lambda: _within_cutoff(job, staged, nproc, say))
        if ready and not faults:
            return ready
    raise PreflightError(faults)


def processes(topology: Topology, found: Software | None) -> int:
    """Processes on this node: as many as were asked for, else one for each GPU, at least one."""
    return topology.nproc_per_node or max(1, found.gpus if found else 1)


def _versions(found: Software) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.versions.items()))
    return f"{versions}; {found.gpus} GPU(s)"


def _gpu_faults(recipe: Recipe, found: Software, nproc: int) -> list[str]:
    if recipe.on_cpu:
        return []
    if found.gpus == 0:
        return [
            "no GPU that PyTorch can use: check nvidia-smi and CUDA_VISIBLE_DEVICES, or try it "
            "with the recipe tiny_cpu"
        ]
    if nproc > found.gpus:
        return [f"--nproc-per-node {nproc}: there are {found.gpus} GPU(s) here; ask for fewer"]
    return []


def output_faults(folder: Path) -> list[str]:
    """Why nothing could be written to an output folder, which need not be there yet."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return [f"--output-dir {folder}: {place} is not a folder; name another"]
    if not os.access(place, os.W_OK | os.X_OK):
        return [f"--output-dir {folder}: {place} cannot be written; name another, or its owner"]
    return []


def _model_faults(job: Asked) -> list[str]:
    name = str(job.settings.get("model_name_or_path") or "")
    is_path = name.startswith((os.sep, ".", "~")) or name.count("/") > 1
    if job.model or not is_path:
        return []  # an id of the hub: its tokenizer is loaded when the rows are measured
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        return [f"model_name_or_path {name}: no model there (config.json); check the path"]
    return []


def _plan_yaml(job: Asked, dataset: StagedDataset) -> str:
    facts = recipe_options.dataset_facts(dataset)
    return bind(job.recipe, facts, job.output_dir, model=job.model).yaml()


def _within_cutoff(job: Asked, staged: StagedDataset, nproc: int, say: Say) -> Ready:
    measured = measure(staged, job.settings, job.cache)
    over = lengths.over(measured, lengths.cutoff(job.settings))
    say("length", length_words(over))
    if measured.fault_count:
        more = measured.fault_count - len(measured.faults)
        also = [f"and {more:,} more rows like these"] if more else []
        raise PreflightError([*measured.faults, *also])
    return Ready(leave_out(staged, over.by_part(), job.cache), over, nproc)


def length_words(over: Over) -> str:
    """How many rows are left out, and why."""
    words = f"{over.count():,} of {over.rows:,} rows pass cutoff_len {over.cutoff:,}"
    if over.count():
        images = sum(len(rows) for rows in over.with_images.values())
        words += (
            f" and are left out ({images:,} with images would end training, "
            f"{over.count() - images:,} without would lose their end)"
        )
    return f"{words}; the longest has {over.longest:,} tokens"
