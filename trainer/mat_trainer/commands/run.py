"""``mat-trainer run``: trains as one node, from the dataset to the last checkpoint."""

from __future__ import annotations

import argparse
import hashlib
import signal
import socket
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import msgspec

from mat_trainer.commands import options, pinning
from mat_trainer.commands.preflight import (
    Asked,
    Ready,
    adopt,
    asked,
    output_faults,
    preflight,
    processes,
    say,
    say_asked,
)
from mat_trainer.core.command import launch
from mat_trainer.core.control import EXIT_SAVED, rank_log
from mat_trainer.core.errors import ConfigError, PreflightError
from mat_trainer.core.node import Begin, NodeFacts, Software
from mat_trainer.core.plan import Plan, bind
from mat_trainer.launch import checkpoints, process, shared_folder
from mat_trainer.launch.rendezvous import LIMIT_SECONDS, meet
from mat_trainer.launch.workers import software

STAGING_SECONDS = 2 * 3600.0
"""Time for all nodes to stage the dataset, after they have agreed that they can begin."""


def add_parser(subparsers: options.Subparsers) -> None:
    """Adds the subcommand."""
    parser = options.add_command(
        subparsers,
        "run",
        run,
        help="train on this machine, or as one node of several",
        description="Does what `check` does, then starts LLaMA-Factory and watches it. "
        "SIGUSR1 saves a checkpoint and stops (exit code 75); the same command resumes from it.",
    )
    options.add_training(parser)
    parser.add_argument(
        "--resume",
        choices=(checkpoints.AUTO, checkpoints.NEVER),
        default=checkpoints.AUTO,
        help="auto resumes from the last complete checkpoint; default: %(default)s",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns training's own exit code.

    Raises:
        ConfigError: The options, the recipe or the dataset are invalid.
        PreflightError: Training would fail.
    """
    job = asked(args)
    say_asked(job, say)
    before = signal.signal(signal.SIGUSR1, _stop)
    try:
        return _run(args.resume, job)
    except _StopAskedError:
        say("stopped", "before the first step, because of SIGUSR1; the same command starts again")
        return EXIT_SAVED
    finally:
        signal.signal(signal.SIGUSR1, before)


class _StopAskedError(Exception):
    """SIGUSR1 came before training began, so there is nothing to save."""


def _stop(*_: object) -> None:
    raise _StopAskedError


def _run(resume: str, job: Asked) -> int:
    installed = software()
    folder = Path(job.output_dir)
    several, first = job.topology.nnodes > 1, job.topology.node_rank == 0
    if wrong := output_faults(folder):
        raise PreflightError(*wrong)
    with shared_folder.marked(folder) if several and first else nullcontext("") as mark:
        faults, generation = [], job.dataset.generation
        if several:
            # Before anything is staged, so that a missing or different node shows within a minute.
            dataset = job.dataset.lineage if job.settled.is_open else job.dataset.digest
            ours = msgspec.json.encode(Begin(mark, generation)).decode()
            theirs = _meet(job, _facts(job, installed, dataset), ours, LIMIT_SECONDS)
            begin = msgspec.json.decode(theirs, type=Begin)
            faults = [fault] if (fault := shared_folder.fault(folder, begin.mark)) else []
            generation = begin.generation
        ready, checkpoint = _prepared(resume, job, installed, faults, generation)
    plan = bind(
        job.recipe,
        options.dataset_facts(ready.dataset),
        job.output_dir,
        resume_from=checkpoint or None,
        start_over=resume == checkpoints.NEVER,
        model=job.model,
    )
    say("output", plan.output_dir)
    if checkpoint:
        say("resume", checkpoint)
    if first:
        pinning.keep(folder, job.settled.found)
    code = _train(job, ready, plan)
    if code == EXIT_SAVED:
        say("stopped", "a checkpoint is saved; the same command resumes from it")
    elif code:
        say("failed", f"exit code {code}; see the logs of the ranks in {plan.log_dir}")
    else:
        say("trained", f"{plan.output_dir}; for the loss: mat-trainer status {plan.output_dir}")
    return code


def _prepared(
    resume: str, job: Asked, installed: Software, faults: list[str], generation: int | None
) -> tuple[Ready, str]:
    """What to train on, and the checkpoint to resume from; the same on all nodes."""
    first = job.topology.node_rank == 0
    try:
        if faults:
            raise PreflightError(*faults)
        if job.settled.is_open and not first:
            job = adopt(job, generation)
            say("generation", f"{generation} of the dataset, as on node 0")
        ready = preflight(job, installed, say)
        found = checkpoints.prepare(Path(job.output_dir), resume) if first else None
    except (ConfigError, PreflightError) as error:
        if job.topology.nnodes > 1:
            _meet(job, _facts(job, installed, "", error.faults), "", STAGING_SECONDS)
        raise
    checkpoint = str(found or "")
    if job.topology.nnodes > 1:
        facts = _facts(job, installed, ready.dataset.digest)
        checkpoint = _meet(job, facts, checkpoint, STAGING_SECONDS)
    return ready, checkpoint


def _facts(
    job: Asked, installed: Software, dataset: str, faults: tuple[str, ...] = ()
) -> NodeFacts:
    settings = msgspec.json.encode(job.recipe.settings, order="sorted")
    gpus = 0 if job.recipe.on_cpu else processes(job.topology, installed)
    return NodeFacts(
        rank=job.topology.node_rank,
        host=socket.gethostname(),
        dataset=dataset,
        recipe=hashlib.sha256(settings).hexdigest(),
        software=installed,
        promised_gpus=gpus,
        faults=faults,
    )


def _meet(job: Asked, facts: NodeFacts, announcement: str, limit: float) -> str:
    topology = job.topology
    return meet(
        facts,
        nnodes=topology.nnodes,
        master_addr=topology.master_addr,
        master_port=topology.master_port,
        announcement=announcement,
        limit=limit,
    )


def _train(job: Asked, ready: Ready, plan: Plan) -> int:
    topology = msgspec.structs.replace(job.topology, nproc_per_node=ready.nproc_per_node)
    folder = Path(plan.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mat-trainer-") as elsewhere:
        file = _yaml_file(folder, topology.node_rank, elsewhere)
        start = launch(str(file), topology, plan.log_dir, sys.executable, deepspeed=plan.deepspeed)
        file.write_text(plan.yaml(), encoding="utf-8")
        first_rank = topology.node_rank * ready.nproc_per_node
        show = rank_log(Path(plan.log_dir), first_rank)
        return process.run(start.command, start.environment, show=show)


def _yaml_file(output_dir: Path, node_rank: int, elsewhere: str) -> Path:
    # LLaMA-Factory's launcher splits its arguments at spaces. Each node writes its own file: the
    # dataset may be staged at different places.
    name = "train.yaml" if node_rank == 0 else f"train-node-{node_rank}.yaml"
    return (Path(elsewhere) if len(str(output_dir).split()) > 1 else output_dir) / name
