"""The nodes of a run agree on what to train on, and fail together. One node does it alone."""

from __future__ import annotations

import hashlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import msgspec

from mat_trainer.commands.preflight import Asked, Ready, adopt, preflight, processes, say
from mat_trainer.core.errors import PreflightError
from mat_trainer.core.node import Begin, NodeFacts, Software
from mat_trainer.launch import checkpoints, shared_folder
from mat_trainer.launch.in_touch import in_touch
from mat_trainer.launch.rendezvous import meet
from mat_trainer.launch.wire import Verdict


class StopAskedError(BaseException):
    """This node, or another, was asked to stop before training, so there is nothing to save.

    Not an `Exception`: a signal raises it anywhere, also where errors of others are expected.
    """

    is_stop = True


def agreed(job: Asked, installed: Software, faults: list[str]) -> tuple[Ready, str]:
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
        try:
            theirs = meet(
                facts,
                nnodes=topology.nnodes,
                master_addr=topology.master_addr,
                master_port=topology.master_port,
                announcement=msgspec.json.encode(ours).decode(),
            )
        except PreflightError as error:  # perhaps another one than this node's own
            untold = [fault for fault in faults if fault not in " ".join(error.faults)]
            if not untold:
                raise
            raise PreflightError(*untold, *error.faults) from None
        begin = msgspec.json.decode(theirs, type=Begin)
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
        NodeError: Another node is lost; with its name.
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
            raise StopAskedError from None
        told[0].check()
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
