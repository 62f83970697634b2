"""Nodes that stage: all are ready, one fails, one is lost, node 0 is lost."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
import pytest

from mat_trainer.core.errors import MatTrainerError, PreflightError
from mat_trainer.core.node import NodeFacts
from mat_trainer.launch import in_touch as module
from mat_trainer.launch.in_touch import Ready, in_touch
from mat_trainer.launch.wire import Verdict
from tests.processes import ROOT, wait_for

from .test_rendezvous import ADDR, HOSTILE, caller, node

NODE = """
import sys, time
from mat_trainer.core.node import NodeFacts, Software
from mat_trainer.launch import in_touch as module
module.BEAT_SECONDS = 0.1
facts = NodeFacts(int(sys.argv[1]), f"host{sys.argv[1]}", "d", "r", Software({}, 0), 0)
with module.in_touch(facts, nnodes=3, master_addr="127.0.0.1", master_port=int(sys.argv[2]),
                     announcement=str, ended=print):
    print("up", flush=True)
    time.sleep(600)
"""


class Outcome:
    """What one node was told, and when."""

    def __init__(self) -> None:
        self.interrupted = threading.Event()
        self.verdict: Verdict | None = None
        self.release = threading.Event()
        self.agreed: str | None = None
        self.faults: tuple[str, ...] = ()

    def ended(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.interrupted.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes beat often."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.05)


@pytest.fixture
def missed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes are missed after less time."""
    monkeypatch.setattr(module, "SILENCE_SECONDS", 6.0)


def stage(
    facts: NodeFacts, nnodes: int, port: int, outcome: Outcome, error: Exception | None = None
) -> Outcome:
    """What `run` does on a node, with an event in the place of the work."""
    with (
        contextlib.suppress(MatTrainerError, OSError),
        in_touch(
            facts,
            nnodes=nnodes,
            master_addr=ADDR,
            master_port=port,
            announcement=lambda: "checkpoint-7",
            ended=outcome.ended,
        ) as others,
    ):
        assert outcome.release.wait(600)
        if error:
            raise error
        try:
            outcome.agreed = others.agree(facts)
        except PreflightError as failed:
            outcome.faults = failed.faults
    return outcome


def started(
    pool: ThreadPoolExecutor, port: int, ranks: range, nnodes: int, *errors: Exception | None
) -> tuple[list[Outcome], list[Future[Outcome]]]:
    outcomes = [Outcome() for _ in ranks]
    given = [*errors, *[None] * len(ranks)]
    return outcomes, [
        pool.submit(stage, node(rank), nnodes, port, outcome, error)
        for rank, outcome, error in zip(ranks, outcomes, given, strict=False)
    ]


def test_all_that_are_ready_hear_the_first_and_the_port_is_free(free_port: int) -> None:
    with ThreadPoolExecutor(3) as pool:
        outcomes, futures = started(pool, free_port, range(3), 3)
        for outcome in reversed(outcomes):
            outcome.release.set()
        assert [future.result().agreed for future in futures] == ["checkpoint-7"] * 3
    assert not any(outcome.interrupted.is_set() for outcome in outcomes)
    with socket.socket() as listener:
        listener.bind(("", free_port))  # as torchrun does


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PreflightError("no room"), "node 0 (host0): no room"),
        (OSError(28, "No space left"), "node 0 (host0): OSError: [Errno 28] No space left"),
    ],
)
def test_any_exception_on_one_node_reaches_the_others_at_once(
    free_port: int, error: Exception, said: str
) -> None:
    with ThreadPoolExecutor(3) as pool:
        outcomes, futures = started(pool, free_port, range(3), 3, error)
        outcomes[0].release.set()
        for outcome in outcomes[1:]:  # they work still, and are interrupted
            assert outcome.interrupted.wait(600)
            assert outcome.verdict == Verdict([said], "")
            outcome.release.set()
        for future in futures:
            future.result()


def test_a_request_to_stop_is_no_fault(free_port: int) -> None:
    class StopError(MatTrainerError):
        is_stop = True

    with ThreadPoolExecutor(2) as pool:
        outcomes, futures = started(pool, free_port, range(2), 2, None, StopError())
        outcomes[1].release.set()
        assert outcomes[0].interrupted.wait(600)
        assert outcomes[0].verdict is not None
        assert outcomes[0].verdict.stopped
        outcomes[0].release.set()
        for future in futures:
            future.result()


@contextlib.contextmanager
def process(rank: int, port: int) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", NODE, str(rank), str(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        assert node.stdout
        assert node.stdout.readline() == "up\n"
        yield node
        node.kill()


@pytest.mark.usefixtures("missed_soon")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_node_that_is_lost_is_named_to_the_others(free_port: int, number: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        outcomes, futures = started(pool, free_port, range(2), 3)
        with process(2, free_port) as lost:
            lost.send_signal(number)
            # One has finished and waits, one works still.
            outcomes[1].release.set()
            assert outcomes[0].interrupted.wait(600)
            outcomes[0].release.set()
            for future in futures:
                future.result()
    assert outcomes[0].verdict is not None
    assert outcomes[0].verdict.lost
    (fault,) = outcomes[0].verdict.faults
    assert re.match(r"node 2( \(host2\))? is lost", fault)
    assert outcomes[1].faults == (fault,)


@pytest.mark.usefixtures("missed_soon")
def test_node_0_that_is_lost_is_named_to_the_others(free_port: int) -> None:
    with ThreadPoolExecutor(2) as pool, process(0, free_port) as first:
        outcomes, futures = started(pool, free_port, range(1, 3), 3)
        first.kill()
        outcomes[1].release.set()
        assert outcomes[0].interrupted.wait(600)
        outcomes[0].release.set()
        for future in futures:
            future.result()
    for faults in (outcomes[0].verdict and outcomes[0].verdict.faults, outcomes[1].faults):
        assert faults
        assert "node 0 is lost" in faults[0]


def test_strangers_do_not_disturb(free_port: int) -> None:
    with ThreadPoolExecutor(2) as pool, contextlib.ExitStack() as stack:
        outcomes, futures = started(pool, free_port, range(2), 2)
        wrong = msgspec.json.encode(Ready(node(7, faults=("no",))))
        for words in (*HOSTILE, wrong + b"\n"):
            with contextlib.suppress(ConnectionError):
                stack.enter_context(caller(free_port)).sendall(words)
        for outcome in outcomes:
            outcome.release.set()
        assert [future.result().agreed for future in futures] == ["checkpoint-7"] * 2


def test_a_connection_that_breaks_is_made_again(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[socket.socket] = []
    create = socket.create_connection

    def noted(*words: object, **more: object) -> socket.socket:
        connections.append(create(*words, **more))  # type: ignore[arg-type]
        return connections[-1]

    monkeypatch.setattr(socket, "create_connection", noted)
    with ThreadPoolExecutor(2) as pool:
        outcomes, futures = started(pool, free_port, range(2), 2)
        wait_for(lambda: len(connections) == 2)
        for connection in connections[:2]:
            connection.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: len(connections) >= 4)
        for outcome in outcomes:
            outcome.release.set()
        assert [future.result().agreed for future in futures] == ["checkpoint-7"] * 2
