"""A training job, the same for every kind of cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

import mat_trainer
from mat_trainer.submit.leaks import SECRET_NAME

TIME_TO_SAVE = 300
"""Default for the seconds that saving a checkpoint may take."""


class Job(msgspec.Struct, frozen=True):
    """A training run on nodes that are alike.

    Attributes:
        name: The job's name in its cluster.
        recipe: A preset's name, or the name of a user's file, without folders.
        recipe_text: The content of that file; None for a preset.
        dataset: A URI, or a path on the nodes.
        output_dir: An absolute path that all nodes share.
        overrides: Texts of the form KEY=VALUE.
        nodes: How many nodes; each runs one launcher.
        gpus: GPUs of each node; 0 trains on the CPU with one process.
        cpus: CPUs of each node; None leaves it to the cluster.
        memory: GiB of each node; None leaves it to the cluster.
        time_to_save: Seconds between the request for a checkpoint and the end of the job.
        environment: Variables of the job, such as NCCL_SOCKET_IFNAME; no secrets.
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
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def processes(self) -> int:
        """How many training processes each node runs."""
        return max(1, self.gpus)


def faults(job: Job) -> list[str]:
    """The faults of a job on any cluster, one sentence each."""
    found = []
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", job.name):
        found.append(
            f"--name {job.name}: must be at most 40 of a-z, 0-9 and -, and begin and end with a "
            "letter or digit, since clusters make host names of it"
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
            found.append(f"{option} {number}: must be at least {least}")
    for option, text in (("--dataset", job.dataset), ("--output-dir", job.output_dir)):
        if not text.isprintable():
            found.append(f"{option} {text!r}: has an unprintable character; rename it")
    if "://" in job.output_dir:
        found.append(
            f"--output-dir {job.output_dir}: must be a folder on a file system that all nodes "
            "share; mount a bucket to use it"
        )
    return found + _environment_faults(job)


def _environment_faults(job: Job) -> list[str]:
    found = []
    names = [name for name, _ in job.environment]
    for name, value in job.environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            found.append(f"--env {name}: must be NAME=VALUE, such as NCCL_SOCKET_IFNAME=eth0")
        elif SECRET_NAME.search(name):
            found.append(
                f"--env {name}: a secret must not be in a job file; Slurm passes this environment "
                "on, and elsewhere --secret names one"
            )
        elif not value.isprintable():
            found.append(f"--env {name}: the value has an unprintable character; remove it")
    found += [
        f"--env {name} is given twice; remove one of the two"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    return found


def pairs(option: str, texts: Sequence[str], found: list[str]) -> tuple[tuple[str, str], ...]:
    """Reads texts of the form NAME=VALUE; adds their faults to `found`.

    >>> pairs("--env", ["A=b=c"], [])
    (('A', 'b=c'),)
    """
    read = []
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            found.append(f"{option} {name}: must be NAME=VALUE")
        else:
            read.append((name, value))
    return tuple(read)


def words(job: Job, folder: str) -> list[tuple[str, ...]]:
    """The launcher's command, one group for each line, without options that differ by node.

    Args:
        job: The job.
        folder: The folder of a user's recipe on the nodes.
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


def title(job: Job) -> str:
    """One line that describes the job, for the head of a file."""
    where = f"{job.nodes} node{'s' * (job.nodes > 1)}"
    what = f"{job.gpus} GPU{'s' * (job.gpus > 1)} each" if job.gpus else "no GPUs"
    made_by = f"mat-trainer {mat_trainer.__version__}"
    return f"{job.name}: {job.recipe} on {where}, {what}. Made by {made_by}."


def file_name(path: str) -> str:
    """The name of a user's recipe on the nodes, without characters that a cluster rejects.

    >>> file_name("configs/my recipe.yaml")
    'my_recipe.yaml'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(path).name)


def name_of(recipe: str) -> str:
    """A job's name, made from a recipe's.

    >>> name_of("configs/Qwen2_VL 7B.yaml")
    'qwen2-vl-7b'
    """
    return re.sub(r"[^a-z0-9]+", "-", PurePosixPath(recipe).stem.lower())[:40].strip("-")
