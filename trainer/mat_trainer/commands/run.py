"""``mat-trainer run``: trains as one node, from the dataset to the last checkpoint."""

from __future__ import annotations

import argparse
import hashlib
import shlex
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import msgspec

from mat_trainer.commands import options, pinning, resuming
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
    say_finished,
)
from mat_trainer.core.command import Topology, launch
from mat_trainer.core.control import EXIT_SAVED, rank_log
from mat_trainer.core.errors import PreflightError
from mat_trainer.core.node import Begin, NodeFacts, Software
from mat_trainer.core.plan import Plan, bind
from mat_trainer.launch import checkpoints, owner, ports, process, room, shared_folder
from mat_trainer.launch.in_touch import in_touch
from mat_trainer.launch.rendezvous import meet
from mat_trainer.launch.wire import Verdict
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
    except _StopAskedError:
        say("stopped", "before the first step, because of SIGUSR1; the same command starts again")
        return EXIT_SAVED
    finally:
        signal.signal(signal.SIGUSR1, before)


class _StopAskedError(Exception):
    """SIGUSR1 came before training began, so there is nothing to save."""

    is_stop = True


def _stop(*_: object) -> None:
    raise _StopAskedError


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
        ready, checkpoint = _agreed(job, installed, faults)
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
        say("next", f"mat-trainer status {shlex.quote(plan.output_dir)} shows the loss; to try the")
        say("", f"model: {try_out(plan)}")
    return code


def try_out(plan: Plan) -> str:
    """LLaMA-Factory's command that talks with the trained model."""
    settings = plan.settings
    words = {"model_name_or_path": plan.output_dir, "template": settings.get("template", "default")}
    if settings.get("finetuning_type", "lora") not in ("full", "freeze"):
        words["model_name_or_path"] = str(settings["model_name_or_path"])
        words |= {"adapter_name_or_path": plan.output_dir, "finetuning_type": "lora"}
    if settings.get("trust_remote_code"):
        words["trust_remote_code"] = "true"
    named = [word for key, value in words.items() for word in (f"--{key}", value)]
    return shlex.join(["llamafactory-cli", "chat", *named])


def _agreed(job: Asked, installed: Software, faults: list[str]) -> tuple[Ready, str]:
    """What to train on, and the checkpoint to resume from; the same on all nodes.

    Args:
        job: The options.
        installed: The versions installed here.
        faults: Those of this node that are known already.

    Raises:
        ConfigError, PreflightError: Training would fail, on this node or another.
    """
    folder, topology = Path(job.output_dir), job.topology
    first = topology.node_rank == 0
    if topology.nnodes == 1:
        if faults:
            raise PreflightError(*faults)
        return _prepared(job, installed)
    with shared_folder.marked(folder) if first and not faults else nullcontext("") as mark:
        # Before anything is staged, so that a missing or different node shows within a minute.
        dataset = job.dataset.lineage if job.settled.is_open else job.dataset.digest
        ours = Begin(mark, job.dataset.generation)
        facts = _facts(job, installed, dataset, tuple(faults))
        begin = msgspec.json.decode(
            meet(
                facts,
                nnodes=topology.nnodes,
                master_addr=topology.master_addr,
                master_port=topology.master_port,
                announcement=msgspec.json.encode(ours).decode(),
            ),
            type=Begin,
        )
        checkpoint = ""
        with (
            interruptible() as ended,
            in_touch(
                facts,
                nnodes=topology.nnodes,
                master_addr=topology.master_addr,
                master_port=topology.master_port,
                announcement=lambda: checkpoint,
                ended=ended,
            ) as others,
        ):
            if fault := shared_folder.fault(folder, begin.mark):
                raise PreflightError(fault)
            if job.settled.is_open and not first:
                job = adopt(job, begin.generation)
                say("generation", f"{begin.generation} of the dataset, as on node 0")
            ready, checkpoint = _prepared(job, installed)
            return ready, others.agree(_facts(job, installed, ready.dataset.digest))


def _prepared(job: Asked, installed: Software) -> tuple[Ready, str]:
    """What to train on, and on node 0 the checkpoint to resume from, or an empty text."""
    ready = preflight(job, installed, say)
    first = job.topology.node_rank == 0
    found = checkpoints.prepare(Path(job.output_dir), job.resume) if first else None
    return ready, str(found or "")


@contextmanager
def interruptible() -> Iterator[Callable[[Verdict], None]]:
    """Ends the block when another node has failed, whatever this one does just now.

    Yields:
        A function for another thread to call.

    Raises:
        PreflightError: Another node has failed; with its name.
    """
    told: list[Verdict] = []

    def ended(verdict: Verdict) -> None:
        told.append(verdict)
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, _ENDED)  # so that it does not wait in a system call

    def interrupt(*_: object) -> None:
        if told:
            raise _OthersEnded

    before = signal.signal(_ENDED, interrupt)
    try:
        yield ended
    except _OthersEnded:
        if told[0].stopped:
            raise _StopAskedError from None
        raise PreflightError(*told[0].faults) from None
    finally:
        signal.signal(_ENDED, before)


_ENDED = signal.SIGUSR2


class _OthersEnded(BaseException):
    """Another node has failed. Not an `Exception`, so that nothing takes it for an error here."""


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
