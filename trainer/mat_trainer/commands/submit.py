"""``mat-trainer submit``: writes the job file for a cluster and submits it."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mat_trainer.commands import options, pinning
from mat_trainer.core import address as addresses
from mat_trainer.core import recipe as recipes
from mat_trainer.core.errors import ConfigError, UnreachableError
from mat_trainer.core.recipe import Recipe
from mat_trainer.dataset.choosing import choose
from mat_trainer.launch import checkpoints
from mat_trainer.submit import job as jobs
from mat_trainer.submit import kubernetes, leaks, mounts, reads, send, skypilot, slurm, sweep
from mat_trainer.submit.job import Job
from mat_trainer.submit.kubernetes import Kubernetes
from mat_trainer.submit.skypilot import SkyPilot
from mat_trainer.submit.slurm import Slurm

SLURM, KUBERNETES, SKYPILOT = "slurm", "kubernetes", "skypilot"
# The targets of options that not all of them have.
TAKEN_BY = {
    "partition": (SLURM,),
    "account": (SLURM,),
    "time": (SLURM,),
    "directives": (SLURM,),
    "kind": (KUBERNETES,),
    "namespace": (KUBERNETES,),
    "runtime": (KUBERNETES,),
    "accelerator": (SKYPILOT,),
    "infra": (SKYPILOT,),
    "image": (KUBERNETES, SKYPILOT),
    "mount": (KUBERNETES, SKYPILOT),
    "secrets": (KUBERNETES, SKYPILOT),
    "setup": (SLURM, SKYPILOT),
    "labels": (KUBERNETES,),
    "selectors": (KUBERNETES,),
    "tolerations": (KUBERNETES,),
    "spot": (SKYPILOT,),
}

OPTIONS = {
    "directives": "sbatch",
    "secrets": "secret",
    "labels": "label",
    "selectors": "node-selector",
    "tolerations": "toleration",
}


def add_parser(subparsers: options.Subparsers) -> None:
    """Adds the subcommand."""
    parser = options.add_command(
        subparsers,
        "submit",
        run,
        help="write the job file for a cluster and submit it",
        description="Writes the job file for Slurm, Kubernetes or SkyPilot and submits it. Tokens "
        "reach the job through its environment or a secret, never through the file.",
    )
    options.add_recipe(parser, "as for run; a plain URI becomes the newest generation of now")
    add = parser.add_argument
    add(
        "--output-dir",
        required=True,
        type=os.path.expanduser,
        metavar="DIR",
        help="a folder that all nodes share",
    )
    add("--to", required=True, choices=(SLURM, KUBERNETES, SKYPILOT))
    add("--dry-run", action="store_true", help="print the job file; submit nothing")
    add("--name", metavar="NAME", help="of the job; default: made from the recipe's")
    add("--nodes", type=int, default=1, metavar="N", help="default: %(default)s")
    add("--gpus-per-node", type=int, default=1, metavar="N", help="default: %(default)s")
    add("--cpus-per-node", type=int, metavar="N", help="default: the cluster's")
    add("--memory-per-node", type=int, metavar="GIB", help="default: the cluster's")
    add(
        "--time-to-save",
        type=int,
        default=jobs.TIME_TO_SAVE,
        metavar="SECONDS",
        help="to save a checkpoint before the job is ended; default: %(default)s",
    )
    add(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the job, such as NCCL_SOCKET_IFNAME, HTTPS_PROXY or HF_ENDPOINT; no "
        "secrets; may repeat",
    )
    add(
        "--sweep",
        action="append",
        default=[],
        metavar="KEY=V1,V2",
        help="submit a job for each value, in a folder of its own below --output-dir; several "
        "give every combination",
    )
    add = parser.add_argument_group("slurm").add_argument
    add("--partition", metavar="NAME")
    add("--account", metavar="NAME")
    add("--time", metavar="D-HH:MM:SS", help="time limit; the requeued job resumes")
    add(
        "--sbatch",
        action="append",
        dest="directives",
        metavar="OPTION",
        help="a further option of sbatch, such as --sbatch=--mem=0",
    )
    add = parser.add_argument_group("kubernetes and skypilot").add_argument
    add("--image", metavar="IMAGE", help="an image with mat-trainer, see trainer/Dockerfile")
    add(
        "--mount",
        action="append",
        metavar="SOURCE=PATH",
        help="a PersistentVolumeClaim (kubernetes) or a bucket's URI (skypilot), and its path",
    )
    add(
        "--secret",
        action="append",
        dest="secrets",
        metavar="NAME",
        help="a Secret whose keys become environment variables, or SECRET/KEY for one of them "
        "(kubernetes); a variable of this environment, such as HF_TOKEN (skypilot)",
    )
    add(
        "--kind",
        choices=(kubernetes.PYTORCHJOB, kubernetes.JOBSET, kubernetes.TRAINJOB),
        help="kubernetes only; default: pytorchjob",
    )
    add(
        "--runtime",
        metavar="NAME",
        help="kubernetes only: the ClusterTrainingRuntime of a trainjob",
    )
    add("--namespace", metavar="NAME", help="kubernetes only")
    for option, dest, metavar, text in (
        ("--label", "labels", "KEY=VALUE", "of the job and its pods, such as a queue's"),
        ("--node-selector", "selectors", "KEY=VALUE", "a label that the nodes must have"),
        ("--toleration", "tolerations", "KEY[=VALUE][:EFFECT]", "of a taint of the nodes"),
    ):
        add(
            option,
            action="append",
            dest=dest,
            metavar=metavar,
            help=f"kubernetes only: {text}; may repeat",
        )
    add("--accelerator", metavar="NAME", help="skypilot only: the GPU, such as H100")
    add(
        "--spot",
        action="store_const",
        const=True,
        help="skypilot only: machines that may be taken away, for less money",
    )
    add("--infra", metavar="CLOUD[/REGION]", help="skypilot only")
    parser.add_argument(
        "--setup",
        action="append",
        metavar="LINE",
        help="slurm and skypilot: a shell line that makes mat-trainer available; may repeat",
    )


def run(args: argparse.Namespace) -> int:
    """Submits, or prints what it would submit: one job, or one for each combination of a sweep.

    Raises:
        ConfigError: With every fault.
        MatTrainerError: The cluster's program is not installed here, or fails.
    """
    faults: list[str] = []
    varied = sweep.variations(args.sweep, faults)
    if faults:
        raise ConfigError(*faults)
    ready = [_prepared(one) for one in (sweep.applied(args, found) for found in varied)]
    for submit in ready:  # nothing is submitted if any of them has a fault
        submit()
    return 0


def _prepared(args: argparse.Namespace) -> Callable[[], None]:
    faults = [
        f"--{OPTIONS.get(option, option)}: only for {' and '.join(targets)}; remove it"
        for option, targets in TAKEN_BY.items()
        if getattr(args, option) is not None and args.to not in targets
    ]
    path = _file(args.recipe)
    job = _job(args, path, faults)
    faults += jobs.faults(job)
    text, submit = _target(args, job, path, faults)
    faults += leaks.leaks(f"{text}{job.recipe_text}", os.environ)
    if faults:
        raise ConfigError(*dict.fromkeys(faults))

    def go() -> None:
        if args.dry_run and path is not None and args.to == SLURM:
            where = f"{job.output_dir}/{slurm.FOLDER}/{job.recipe}"
            sys.stderr.write(f"The job reads {where}; without --dry-run, {path} is copied there.\n")
        sys.stdout.write(text if args.dry_run else submit())

    return go


def _file(recipe: str) -> Path | None:
    return Path(recipe) if recipe.endswith((".yaml", ".yml")) or os.sep in recipe else None


def _job(args: argparse.Namespace, path: Path | None, faults: list[str]) -> Job:
    overrides = tuple(args.set)
    text = recipe = None
    try:
        recipe = recipes.load(args.recipe, overrides)
        settings = recipe.settings
        if args.to == SLURM:
            sys.stderr.writelines(f"{notice}\n" for notice in reads.absent(settings))
        else:
            faults += reads.faults(settings, _mounted(args))
        text = path.read_text(encoding="utf-8") if path else None
    except ConfigError as error:
        faults += error.faults
    uri = addresses.split(args.dataset).uri
    found = leaks.faults({"--dataset": uri, "--output-dir": args.output_dir})
    local = args.to == SLURM
    dataset = _absolute(args.dataset) if local else args.dataset
    output_dir = _absolute(args.output_dir) if local else args.output_dir
    if not found:
        dataset = _pinned(dataset, output_dir if local else None, recipe, faults, seen=local)
    faults += found
    return Job(
        name=args.name or jobs.name_of(args.recipe),
        recipe=jobs.file_name(args.recipe) if path else args.recipe,
        recipe_text=text,
        dataset=dataset,
        output_dir=output_dir,
        overrides=overrides,
        nodes=args.nodes,
        gpus=args.gpus_per_node,
        cpus=args.cpus_per_node,
        memory=args.memory_per_node,
        time_to_save=args.time_to_save,
        environment=jobs.pairs("--env", args.env, faults),
    )


def _mounted(args: argparse.Namespace) -> tuple[mounts.Mount, ...]:
    return mounts.parse(args.mount or (), [])


def _pinned(
    dataset: str, output_dir: str | None, recipe: Recipe | None, faults: list[str], *, seen: bool
) -> str:
    """The dataset's address, with the newest generation if `beam-mat watch` changes the dataset.

    So the job trains on the data of the time when it was submitted, however long it waits. If this
    machine cannot read the dataset, the job itself chooses when it begins.

    Args:
        dataset: The address on the nodes.
        output_dir: None if this machine cannot see it; a run that began there stays on its
            generation.
        recipe: Must fit the dataset's entries.
        faults: Takes a sentence for each fault.
        seen: Whether paths mean the same on the nodes and on this machine.
    """
    if "://" not in dataset and not seen:
        return dataset
    try:
        settled = pinning.settle(dataset, output_dir, checkpoints.AUTO)
    except UnreachableError as error:
        if "://" in dataset:
            sys.stderr.write(f"The job itself will choose the generation when it begins: {error}\n")
        return dataset
    except ConfigError as error:
        faults += error.faults
        return dataset
    notices = list(settled.notices)
    if recipe is not None:
        try:
            # Which format is read changes nothing about what fits.
            notices += choose(settled.found.manifest, recipe.data, remote=True).notices
        except ConfigError as error:
            faults += error.faults
    for notice in notices:
        sys.stderr.write(f"{notice}\n")
    return settled.found.address if settled.is_open else dataset


def _program() -> tuple[str, ...]:
    """This command by its absolute path, since a job need not find it by its name."""
    typed = Path(sys.argv[0])
    if typed.name == "mat-trainer" and typed.is_file():
        return (os.path.abspath(typed),)
    found = shutil.which("mat-trainer")
    return (os.path.abspath(found),) if found else (sys.executable, "-m", "mat_trainer.cli")


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _target(
    args: argparse.Namespace, job: Job, path: Path | None, faults: list[str]
) -> tuple[str, Callable[[], str]]:
    """The job file's text, and the function that submits it."""
    typed: dict[str, Any] = {name: value for name, value in vars(args).items() if value is not None}
    typed |= {name: tuple(typed.get(name, ())) for name in ("directives", "secrets", "setup")}
    typed["mounts"] = mounts.parse(args.mount or (), faults)
    typed["labels"] = jobs.pairs("--label", args.labels or (), faults)
    typed["selectors"] = jobs.pairs("--node-selector", args.selectors or (), faults)
    typed["tolerations"] = tuple(args.tolerations or ())
    if not args.setup:  # whose lines would say which one is meant
        typed["program"] = _program()
    typed["recipe_path"] = str(path.absolute()) if path else None
    kind = {SLURM: Slurm, KUBERNETES: Kubernetes, SKYPILOT: SkyPilot}[args.to]
    target = kind(**{name: typed[name] for name in kind.__struct_fields__ if name in typed})
    if isinstance(target, Slurm):
        faults += slurm.faults(job, target)
        text = slurm.render(job, target)
        return text, lambda: send.to_slurm(job, text)
    if isinstance(target, Kubernetes):
        faults += kubernetes.faults(job, target)
        return kubernetes.render(job, target), lambda: send.to_kubernetes(job, target)
    faults += skypilot.faults(job, target)
    task = skypilot.render(job, target)
    return task, lambda: send.to_skypilot(job, target, task)
