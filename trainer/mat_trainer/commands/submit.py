"""``mat-trainer submit``: the job file for a cluster, and its submission."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mat_trainer.commands import pinning
from mat_trainer.core import address as addresses
from mat_trainer.core import recipe as recipes
from mat_trainer.core.errors import ConfigError, UnreachableError
from mat_trainer.launch import checkpoints
from mat_trainer.submit import job as jobs
from mat_trainer.submit import kubernetes, leaks, mounts, send, skypilot, slurm
from mat_trainer.submit.job import Job
from mat_trainer.submit.kubernetes import Kubernetes
from mat_trainer.submit.skypilot import SkyPilot
from mat_trainer.submit.slurm import Slurm

SLURM, KUBERNETES, SKYPILOT = "slurm", "kubernetes", "skypilot"
# Options that not every target takes.
TAKEN_BY = {
    "partition": (SLURM,),
    "account": (SLURM,),
    "time": (SLURM,),
    "sbatch": (SLURM,),
    "kind": (KUBERNETES,),
    "namespace": (KUBERNETES,),
    "accelerator": (SKYPILOT,),
    "infra": (SKYPILOT,),
    "image": (KUBERNETES, SKYPILOT),
    "mount": (KUBERNETES, SKYPILOT),
    "secret": (KUBERNETES, SKYPILOT),
    "setup": (SLURM, SKYPILOT),
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "submit",
        help="write the job file for a cluster and submit it",
        description="Writes the job file for Slurm, Kubernetes or SkyPilot and submits it. Tokens "
        "reach the job by its environment or a secret, never by the file.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("recipe", metavar="RECIPE", help="a preset's name or a YAML file")
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="URI",
        help="as for run; of one with generations, the newest one now unless URI@42 is said",
    )
    parser.add_argument(
        "--output-dir", required=True, metavar="DIR", help="a folder that all nodes share"
    )
    parser.add_argument("--to", required=True, choices=(SLURM, KUBERNETES, SKYPILOT))
    parser.add_argument("--dry-run", action="store_true", help="print the file, submit nothing")
    add = parser.add_argument
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    add("--name", metavar="NAME", help="of the job; default: the recipe's")
    add("--nodes", type=int, default=1, metavar="N", help="default: %(default)s")
    add("--gpus-per-node", type=int, default=1, metavar="N", help="default: %(default)s")
    add("--cpus-per-node", type=int, metavar="N", help="default: the cluster's")
    add("--memory-per-node", type=int, metavar="GIB", help="default: the cluster's")
    add(
        "--time-to-save",
        type=int,
        default=jobs.TIME_TO_SAVE,
        metavar="SECONDS",
        help="for the checkpoint before a job is ended; default: %(default)s",
    )
    group = parser.add_argument_group("slurm")
    add = group.add_argument
    add("--partition", metavar="NAME")
    add("--account", metavar="NAME")
    add("--time", metavar="D-HH:MM:SS", help="limit; training goes on in the requeued job")
    add("--sbatch", action="append", metavar="OPTION", help="another one, such as --sbatch=--mem=0")
    group = parser.add_argument_group("kubernetes and skypilot")
    add = group.add_argument
    add("--image", metavar="IMAGE", help="one with mat-trainer in it, see trainer/Dockerfile")
    add(
        "--mount",
        action="append",
        metavar="SOURCE=PATH",
        help="a PersistentVolumeClaim (kubernetes) or a bucket's URI (skypilot) and where it goes",
    )
    add(
        "--secret",
        action="append",
        metavar="NAME",
        help="a Secret whose keys become environment variables (kubernetes), or a variable of this "
        "environment (skypilot), such as HF_TOKEN",
    )
    add("--kind", choices=(kubernetes.PYTORCHJOB, kubernetes.JOBSET), help="kubernetes only")
    add("--namespace", metavar="NAME", help="kubernetes only")
    add("--accelerator", metavar="NAME", help="skypilot only: the GPU, such as H100")
    add("--infra", metavar="CLOUD[/REGION]", help="skypilot only")
    parser.add_argument(
        "--setup",
        action="append",
        metavar="LINE",
        help="slurm and skypilot: shell that makes mat-trainer available; may repeat",
    )


def run(args: argparse.Namespace) -> int:
    """Submits, or prints what it would submit.

    Raises:
        ConfigError: With every fault that was found.
        MatTrainerError: The cluster's program is not here, or refuses.
    """
    faults = [
        f"--{option} is not for {args.to}: it is for {' and '.join(targets)}"
        for option, targets in TAKEN_BY.items()
        if getattr(args, option) is not None and args.to not in targets
    ]
    path = _file(args.recipe)
    job = _job(args, path, faults)
    faults += jobs.faults(job)
    text, submit = _target(args, job, path, faults)
    faults += leaks.leaks(f"{text}{job.recipe_text}", os.environ)
    if faults:
        raise ConfigError(list(dict.fromkeys(faults)))
    if not args.dry_run:
        text = submit()
    elif path is not None and args.to == SLURM:
        where = f"{job.output_dir}/{slurm.FOLDER}/{job.recipe}"
        sys.stderr.write(f"The job reads {where}: without --dry-run {path} is copied there.\n")
    sys.stdout.write(text)
    return 0


def _file(recipe: str) -> Path | None:
    return Path(recipe) if recipe.endswith((".yaml", ".yml")) or os.sep in recipe else None


def _job(args: argparse.Namespace, path: Path | None, faults: list[str]) -> Job:
    overrides = tuple(args.set)
    text = None
    try:
        settings = recipes.load(args.recipe, overrides).settings
        text = path.read_text(encoding="utf-8") if path else None
    except ConfigError as error:
        faults += error.faults
        settings = {}
    uri = addresses.split(args.dataset).uri
    found = leaks.faults(settings, {"--dataset": uri, "--output-dir": args.output_dir})
    local = args.to == SLURM
    dataset = _absolute(args.dataset) if local else args.dataset
    output_dir = _absolute(args.output_dir) if local else args.output_dir
    if not found:
        dataset = _pinned(dataset, output_dir if local else None, faults, seen=local)
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
    )


def _pinned(dataset: str, output_dir: str | None, faults: list[str], *, seen: bool) -> str:
    """The dataset with the generation that is the newest now, if it has any.

    So the job trains on what was there when it was submitted, however long it waits. Where this
    machine does not see the dataset, the job itself settles on one when it begins.

    Args:
        dataset: As the nodes are to be told.
        output_dir: If this machine sees it: a run that was begun there stays on its generation.
        faults: Told what is wrong with it.
        seen: Whether the nodes' paths are those of this machine.
    """
    if "://" not in dataset and not seen:
        return dataset
    try:
        settled = pinning.settle(dataset, output_dir, checkpoints.AUTO)
    except UnreachableError as error:
        if "://" in dataset:
            sys.stderr.write(
                f"The job itself will settle on a generation, if the dataset has any: {error}\n"
            )
        return dataset
    except ConfigError as error:
        faults += error.faults
        return dataset
    for notice in settled.notices:
        sys.stderr.write(f"{notice}\n")
    return settled.found.address if settled.is_open else dataset


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _target(
    args: argparse.Namespace, job: Job, path: Path | None, faults: list[str]
) -> tuple[str, Callable[[], str]]:
    """The job file's text, and what submits it."""
    volumes = mounts.parse(args.mount or (), faults)
    secrets, setup = tuple(args.secret or ()), tuple(args.setup or ())
    if args.to == SLURM:
        cluster = Slurm(
            partition=args.partition or "",
            account=args.account or "",
            time=args.time or "",
            directives=tuple(args.sbatch or ()),
            setup=setup,
        )
        faults += slurm.faults(job, cluster)
        text = slurm.render(job, cluster)
        return text, lambda: send.to_slurm(job, text)
    if args.to == KUBERNETES:
        pods = Kubernetes(
            image=args.image or "",
            kind=args.kind or kubernetes.PYTORCHJOB,
            namespace=args.namespace or "",
            mounts=volumes,
            secrets=secrets,
        )
        faults += kubernetes.faults(job, pods)
        return kubernetes.render(job, pods), lambda: send.to_kubernetes(job, pods)
    sky = SkyPilot(
        accelerator=args.accelerator or "",
        infra=args.infra or "",
        image=args.image or "",
        recipe_path=str(path.absolute()) if path else None,
        mounts=volumes,
        secrets=secrets,
        setup=setup,
    )
    faults += skypilot.faults(job, sky)
    task = skypilot.render(job, sky)
    return task, lambda: send.to_skypilot(job, sky, task)
