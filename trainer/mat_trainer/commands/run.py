"""``mat-trainer run``: trains as one node, from the dataset to the last checkpoint."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec

from mat_trainer.commands import options, pinning, resuming
from mat_trainer.commands.agreeing import StopAskedError, agreed
from mat_trainer.commands.output_folder import output_faults
from mat_trainer.commands.preflight import (
    Asked,
    Ready,
    asked,
    say,
    say_asked,
    say_finished,
)
from mat_trainer.core.command import Topology, launch
from mat_trainer.core.control import EXIT_SAVED, rank_log
from mat_trainer.core.errors import PreflightError
from mat_trainer.core.plan import Plan, bind
from mat_trainer.launch import checkpoints, owner, ports, process, room
from mat_trainer.launch.workers import software


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


def run(args: argparse.Namespace) -> int:
    """Trains; returns training's own exit code.

    Raises:
        ConfigError: The options, the recipe or the dataset are invalid.
        PreflightError: Training would fail.
    """
    job = asked(args)
    say_asked(job, say)
    if job.standing.is_finished:
        say_finished(job, say)
        return 0
    before = signal.signal(signal.SIGUSR1, _stop)
    try:
        return _run(job)
    except StopAskedError:
        say("stopped", "before the first step, because of SIGUSR1; the same command starts again")
        return EXIT_SAVED
    finally:
        signal.signal(signal.SIGUSR1, before)


def _stop(*_: object) -> None:
    raise StopAskedError


def _run(job: Asked) -> int:
    installed = software()
    folder = Path(job.output_dir)
    first = job.topology.node_rank == 0
    with ExitStack() as held:
        faults = output_faults(folder)
        ownership = None
        if first and not faults:
            try:
                ownership = held.enter_context(owner.owned(folder))
            except PreflightError as error:
                faults += error.faults
        ready, checkpoint = agreed(job, installed, faults)
        plan = bind(
            job.recipe,
            options.dataset_facts(ready.dataset),
            job.output_dir,
            resume_from=checkpoint or None,
            start_over=job.resume == checkpoints.NEVER,
            model=job.model,
        )
        say("output", plan.output_dir)
        if checkpoint:
            say("resume", checkpoint)
        record = msgspec.structs.replace(
            job.record, processes=job.topology.nnodes * ready.nproc_per_node
        )
        if first:
            pinning.keep(folder, job.settled.found)
            resuming.keep(folder, record)
        code = _train(job, ready, plan)
        if first and code == 0:
            resuming.keep(folder, msgspec.structs.replace(record, finished=True))
        if ownership is not None:
            ownership.code = code
    if code == EXIT_SAVED:
        say("stopped", "a checkpoint is saved; the same command resumes from it")
    elif code:
        say("failed", f"exit code {code}; see the logs of the ranks in {plan.log_dir}")
        if first and (full := room.fault(folder, job.settings, checkpoints.AUTO)):
            say("disk", full)
    else:
        say("trained", plan.output_dir)
        shown = f"mat-trainer status {shlex.quote(plan.output_dir)} shows the loss"
        chat = try_out(plan)
        say("next", f"{shown}; to try the" if chat else shown)
        if chat:
            say("", f"model: {chat}")
    return code


def try_out(plan: Plan) -> str | None:
    """LLaMA-Factory's command that talks with the trained model; None for one without answers."""
    settings = plan.settings
    if settings.get("stage") == "rm":
        return None
    words = {"model_name_or_path": plan.output_dir, "template": settings.get("template", "default")}
    if settings.get("finetuning_type", "lora") not in ("full", "freeze"):
        words["model_name_or_path"] = str(settings["model_name_or_path"])
        # A new adapter is on top of those that the run began with.
        below = settings.get("adapter_name_or_path") if settings.get("create_new_adapter") else None
        adapters = [below] if isinstance(below, str) else below or []
        words["adapter_name_or_path"] = ",".join([*adapters, plan.output_dir])
        words["finetuning_type"] = "lora"
    if settings.get("trust_remote_code"):
        words["trust_remote_code"] = "true"
    named = [word for key, value in words.items() for word in (f"--{key}", value)]
    return shlex.join(["llamafactory-cli", "chat", *named])


def _train(job: Asked, ready: Ready, plan: Plan) -> int:
    topology = _on_free_port(
        msgspec.structs.replace(job.topology, nproc_per_node=ready.nproc_per_node)
    )
    folder = Path(plan.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mat-trainer-") as elsewhere:
        file = Path(options.yaml_path(plan.output_dir, topology.node_rank, elsewhere))
        start = launch(str(file), topology, plan.log_dir, sys.executable, deepspeed=plan.deepspeed)
        file.write_text(plan.yaml(), encoding="utf-8")
        first_rank = topology.node_rank * ready.nproc_per_node
        show = rank_log(Path(plan.log_dir), first_rank)
        return process.run(start.command, start.environment, show=show)


def _on_free_port(topology: Topology) -> Topology:
    # Several nodes have met at the port, so it is free.
    if topology.nnodes > 1 or ports.is_free(topology.master_port):
        return topology
    user = ports.user(topology.master_port) or "another program"
    port = ports.free()
    say("port", f"{port}, since {user} uses {topology.master_port}")
    return msgspec.structs.replace(topology, master_port=port)
