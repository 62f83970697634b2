"""Finds everything that would make training fail, before the first step: ``check``, ``run``."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO, TypeVar

import msgspec

from mat_trainer.commands import models, options, pinning, resuming
from mat_trainer.commands.output_folder import (
    output_faults,
    resume_faults,
    rotation_faults,
    step_faults,
)
from mat_trainer.commands.pinning import Settled
from mat_trainer.commands.resuming import Standing
from mat_trainer.core import command, lengths, steps, traps
from mat_trainer.core import recipe as recipes
from mat_trainer.core.command import Topology
from mat_trainer.core.errors import ConfigError, PreflightError
from mat_trainer.core.lengths import Over
from mat_trainer.core.node import Software
from mat_trainer.core.plan import bind
from mat_trainer.core.recipe import Recipe
from mat_trainer.core.run_record import Record
from mat_trainer.dataset.cache import default_cache
from mat_trainer.dataset.filtered import leave_out
from mat_trainer.dataset.lengths import measure
from mat_trainer.dataset.stage import StagedDataset, stage
from mat_trainer.launch import checkpoints, room, workers

T = TypeVar("T")
Say = Callable[[str, str], None]
"""Prints a result for the user: its subject and a sentence."""


def say(subject: str, words: str, out: TextIO | None = None) -> None:
    """Prints a result, to standard error by default; see `Say`."""
    print(f"{subject:<13}{words}", file=out or sys.stderr, flush=True)


class Asked(msgspec.Struct, frozen=True):
    """The valid options of a run; nothing has been fetched or started.

    Attributes:
        recipe: The settings.
        topology: Nodes and processes.
        settled: Which dataset, and which generation of it.
        dataset: Where the dataset is or will be on this machine.
        output_dir: An absolute path.
        cache: The folder for staged and filtered datasets and for lengths.
        resume: As in `mat_trainer.launch.checkpoints`.
        standing: What the output folder means for this run.
    """

    recipe: Recipe
    topology: Topology
    settled: Settled
    dataset: StagedDataset
    output_dir: str
    cache: Path
    resume: str
    standing: Standing

    @property
    def model(self) -> str | None:
        """The tiny model's folder, for a recipe that trains one."""
        return options.tiny_model(self.recipe, self.cache)

    @property
    def settings(self) -> dict[str, object]:
        """The recipe's settings, with the model that is trained."""
        model = {"model_name_or_path": self.model} if self.model else {}
        return {**model, **self.recipe.settings}

    @property
    def record(self) -> Record:
        """What this run is, as the output folder remembers it."""
        return resuming.record_of(self.recipe, self.dataset)


class Ready(msgspec.Struct, frozen=True):
    """The results of the preflight.

    Attributes:
        dataset: The dataset without the rows that are too long.
        over: Rows that are too long.
        nproc_per_node: Processes on this node.
    """

    dataset: StagedDataset
    over: Over
    nproc_per_node: int


def asked(args: argparse.Namespace) -> Asked:
    """Reads the options.

    Raises:
        ConfigError: With every fault of the options, the recipe and the dataset.
    """
    recipe = recipes.load(args.recipe, args.set)
    topology = options.topology(args, recipe)
    faults = command.faults(topology)
    output_dir = options.output_dir(args.output_dir, recipe)
    if output_dir is None:
        faults.append("--output-dir is missing, and the recipe has no output_dir: pass one")
    cache = default_cache()
    settled = dataset = None
    standing = Standing()
    try:
        settled = pinning.settle(args.dataset, output_dir, args.resume)
        dataset = options.place(settled.found, cache, recipe)
        if output_dir is not None:
            standing = resuming.look(
                Path(output_dir), resuming.record_of(recipe, dataset), args.resume
            )
            faults += standing.faults
    except ConfigError as error:
        faults += error.faults
    if faults or settled is None or dataset is None or output_dir is None:
        raise ConfigError(*faults)
    return Asked(recipe, topology, settled, dataset, output_dir, cache, args.resume, standing)


def say_finished(job: Asked, say: Say) -> None:
    """Prints that nothing is left to do."""
    say(
        "finished",
        f"already: {job.output_dir} has the trained model of this run, and nothing there is "
        "touched; to train anew, use --resume never or another --output-dir",
    )


def adopt(job: Asked, generation: int | None) -> Asked:
    """The same with the generation that node 0 has chosen. Errors as in `pinning.adopt`."""
    settled = pinning.adopt(job.settled, generation)
    dataset = options.place(settled.found, job.cache, job.recipe)
    return msgspec.structs.replace(job, settled=settled, dataset=dataset)


def say_asked(job: Asked, say: Say) -> None:
    """Prints the notices and the generation."""
    notices = (job.recipe.notices, job.settled.notices, job.dataset.choice.notices)
    for notice in itertools.chain(*notices, job.standing.notices):
        say("notice", notice)
    number, is_newest = job.dataset.generation, job.settled.found.is_newest
    if number is not None and (job.topology.node_rank == 0 or not job.settled.is_open):
        why = "the newest when this job began" if is_newest else "as --dataset says"
        say("generation", f"{number} of the dataset, {why}: all nodes and restarts stay on it")


def preflight(
    job: Asked, installed: Software | None, say: Say, faults: Sequence[str] = ()
) -> Ready:
    """Stages and checks everything that training will use.

    Args:
        job: The options.
        installed: The versions installed here; None to find them out.
        say: Prints the results.
        faults: Those that are known already.

    Raises:
        PreflightError: With every fault, however many of the checks fail.
    """
    faults = list(faults)

    def tried(look: Callable[[], T]) -> T | None:
        try:
            return look()
        except (ConfigError, PreflightError) as error:
            faults.extend(error.faults)
            return None

    found = installed or tried(workers.software)
    nproc = processes(job.topology, found)
    if found:
        say("software", _versions(found))
        faults += _gpu_faults(job.recipe, found, nproc)
        if model := job.model:
            tried(lambda: workers.make_tiny_model(Path(model)))
    folder = Path(job.output_dir)
    faults += output_faults(folder)
    found_there = None
    if job.topology.node_rank == 0:
        found_there = tried(lambda: checkpoints.examine(folder, job.resume))
        faults += filter(None, [room.fault(folder, job.settings, job.resume)])
        faults += rotation_faults(folder, job.settings)
    unreadable = [] if job.model else models.faults(job.settings)
    faults += unreadable
    faults += resume_faults(folder, job.settings, job.resume)
    faults += traps.faults(job.recipe.settings)
    staged = tried(lambda: stage(job.settled.found.address, job.cache, job.recipe.data))
    if staged:
        rows = sum(entry.rows for entry in staged.training)
        entries = f"{staged.name} of {staged.uri}, {rows:,} rows"
        say("dataset", f"{entries}, verified: {staged.path}")
    if staged and found:
        verdict = tried(lambda: workers.verdict(_plan_yaml(job, staged), has_model=not unreadable))
        if verdict and verdict.rejected:
            faults.append(f"LLaMA-Factory rejects the settings: {verdict.rejected}")
        if verdict:
            faults += verdict.faults
        # What the parser or the model's files refuse would be found in each row once more.
        if verdict and not verdict.rejected and not unreadable:
            ready = tried(lambda: _within_cutoff(job, staged, nproc, say))
            if ready:
                last = found_there.last if found_there else None
                faults += _step_faults(job, ready, last, say)
            if ready and not faults:
                return ready
    raise PreflightError(*faults)


def processes(topology: Topology, found: Software | None) -> int:
    """Processes on this node: --nproc-per-node, else one for each GPU, at least one."""
    return topology.nproc_per_node or max(1, found.gpus if found else 1)


def _versions(found: Software) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.versions.items()))
    return f"{versions}; {found.gpus} GPU(s)"


def _gpu_faults(recipe: Recipe, found: Software, nproc: int) -> list[str]:
    if recipe.on_cpu:
        return []
    if found.gpus == 0:
        return [
            "PyTorch finds no usable GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES, or try the "
            "recipe tiny_cpu, which needs none"
        ]
    if nproc > found.gpus:
        return [
            f"--nproc-per-node {nproc}: this machine has {found.gpus} GPU(s); use fewer processes"
        ]
    return []


def _step_faults(job: Asked, ready: Ready, last: Path | None, say: Say) -> list[str]:
    """Says how many steps the run has, and what to know about resuming."""
    plan = bind(job.recipe, options.dataset_facts(ready.dataset), job.output_dir, model=job.model)
    count = job.topology.nnodes * ready.nproc_per_node
    say("steps", steps.words(plan.settings, plan.used, count))
    begun = resuming.read(Path(job.output_dir)) if last else None
    if begun and begun.processes != count:
        say(
            "notice",
            f"the run was begun with {begun.processes} processes and resumes with {count}: a step "
            "has another number of rows, so that their order is not that of one run",
        )
    if job.settings.get("save_only_model"):
        say("notice", "save_only_model: an interrupted run cannot resume from its checkpoints")
    return step_faults(plan, count, last)


def _plan_yaml(job: Asked, dataset: StagedDataset) -> str:
    facts = options.dataset_facts(dataset)
    # The parser refuses folders with a model, which are looked at here.
    return bind(job.recipe, facts, job.output_dir, start_over=True, model=job.model).yaml()


def _within_cutoff(job: Asked, staged: StagedDataset, nproc: int, say: Say) -> Ready:
    measured = measure(staged, job.settings, job.cache)
    over = lengths.over(measured, lengths.cutoff(job.settings))
    say("length", length_words(over))
    if measured.fault_count:
        raise PreflightError(*lengths.row_faults(measured, job.settings.get("template")))
    return Ready(leave_out(staged, over.long, job.cache), over, nproc)


def length_words(over: Over) -> str:
    """How many rows are left out, and why."""
    words = f"{over.count():,} of {over.rows:,} rows are longer than cutoff_len {over.cutoff:,}"
    if over.count():
        images = over.with_images
        words += (
            f" and are left out ({images:,} with images, which would stop training, and "
            f"{over.count() - images:,} without, whose end would be cut off)"
        )
    words += f"; the longest has {over.longest:,} tokens"
    return f"{words}: cutoff_len {over.longest} keeps all" if over.count() else words
