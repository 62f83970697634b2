"""What is to run, said once for every kind of cluster."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import msgspec

TIME_TO_SAVE = 300
"""Seconds that a checkpoint may take to save, unless told otherwise."""


class Job(msgspec.Struct, frozen=True):
    """A training run on nodes that are alike.

    Attributes:
        name: The job's, as its cluster shows it.
        recipe: A preset's name, or the name of a user's file, without folders.
        recipe_text: What that file says; None for a preset.
        dataset: URI, or a path as the nodes see it.
        output_dir: An absolute path that all nodes share.
        overrides: KEY=VALUE words.
        nodes: Nodes, one launcher each.
        gpus: Of each node; 0 trains on the processor with one process.
        cpus: Processors of each node; None leaves it to the cluster.
        memory: GiB of each node; None leaves it to the cluster.
        time_to_save: Seconds between the request for a checkpoint and the end.
    """

    name: str
    recipe: str
    recipe_text: str | None
    dataset: str
    output_dir: str
    overrides: tuple[str, ...] = ()
    nodes: int = 1
    gpus: int = 1
    cpus: int | None = None
    memory: int | None = None
    time_to_save: int = TIME_TO_SAVE

    @property
    def processes(self) -> int:
        """Training processes on each node."""
        return max(1, self.gpus)


def faults(job: Job) -> list[str]:
    """What is wrong with a job wherever it runs, a sentence each."""
    found = []
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", job.name):
        found.append(
            f"--name {job.name}: give at most 40 of a-z, 0-9 and -, beginning and ending with a "
            "letter or digit; clusters make host names of it"
        )
    numbers: list[tuple[str, int | None, int]] = [
        ("--nodes", job.nodes, 1),
        ("--gpus-per-node", job.gpus, 0),
        ("--cpus-per-node", job.cpus, 1),
        ("--memory-per-node", job.memory, 1),
        ("--time-to-save", job.time_to_save, 30),
    ]
    for option, number, least in numbers:
        if number is not None and number < least:
            found.append(f"{option} {number}: give a whole number of at least {least}")
    for option, text in (("--dataset", job.dataset), ("--output-dir", job.output_dir)):
        if not text.isprintable():
            found.append(f"{option} {text!r}: holds an unprintable character; name it otherwise")
    if "://" in job.output_dir:
        found.append(
            f"--output-dir {job.output_dir}: name a folder; checkpoints need a file system that "
            "all nodes share, a bucket only where it is mounted as one"
        )
    return found


def words(job: Job, folder: str) -> list[tuple[str, ...]]:
    """The launcher's command, one group a line, without what differs from node to node.

    Args:
        job: What is to run.
        folder: Where a user's recipe lies on the nodes.
    """
    recipe = job.recipe if job.recipe_text is None else str(PurePosixPath(folder, job.recipe))
    return [
        ("mat-trainer", "run", recipe),
        ("--dataset", job.dataset),
        ("--output-dir", job.output_dir),
        *(("--set", override) for override in job.overrides),
        ("--resume", "auto"),
        ("--nproc-per-node", str(job.processes)),
    ]


def title(job: Job, version: str) -> str:
    """One line that says what this is, for the head of a file."""
    where = f"{job.nodes} node{'s' * (job.nodes > 1)}"
    what = f"{job.gpus} GPU{'s' * (job.gpus > 1)} each" if job.gpus else "no GPUs"
    return f"{job.name}: {job.recipe} on {where}, {what}. Made by mat-trainer {version}."


def file_name(path: str) -> str:
    """A user's recipe as it is called on the nodes: no characters that a cluster rejects.

    >>> file_name("configs/my recipe.yaml")
    'my_recipe.yaml'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(path).name)


def name_of(recipe: str) -> str:
    """A job's name out of a recipe's.

    >>> name_of("configs/Qwen2_VL 7B.yaml")
    'qwen2-vl-7b'
    """
    return re.sub(r"[^a-z0-9]+", "-", PurePosixPath(recipe).stem.lower())[:40].strip("-")
