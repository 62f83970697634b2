"""Nodes that meet over real sockets: who fits, who does not, and who does not belong there."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from mat_trainer.core.errors import NodeError, PreflightError
from mat_trainer.core.node import NodeFacts, Software
from mat_trainer.launch.rendezvous import meet
from mat_trainer.launch.wire import MAX_LINE_BYTES, Call, Verdict
from tests.processes import wait_for

ADDR = "127.0.0.1"
SOFTWARE = Software({"llamafactory": "0.9.5", "torch": "2.11.0"}, gpus=2)


def node(rank: int, **other: object) -> NodeFacts:
    facts = NodeFacts(rank, f"host{rank}", "d" * 64, "r" * 64, SOFTWARE, promised_gpus=2)
    return msgspec.structs.replace(facts, **other)


def outcome(facts: NodeFacts, nnodes: int, port: int, limit: float) -> str | tuple[str, ...]:
    """What it was told, or why it refused."""
    try:
        return meet(
            facts,
            nnodes=nnodes,
            master_addr=ADDR,
            master_port=port,
            announcement=f"from node {facts.rank}",
            limit=limit,
        )
    except PreflightError as error:
        return error.faults


@pytest.fixture(autouse=True)
def no_second_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks gives up soon after who answers."""
    monkeypatch.setattr("mat_trainer.launch.rendezvous._REPLY_SECONDS", 0.5)


def together(
    nodes: list[NodeFacts], port: int, nnodes: int | None = None, limit: float = 30.0
) -> list[str | tuple[str, ...]]:
    with ThreadPoolExecutor(len(nodes)) as pool:
        count = nnodes or len(nodes)
        running = [pool.submit(outcome, facts, count, port, limit) for facts in nodes]
        return [future.result() for future in running]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 2, 0)])
def test_nodes_that_fit_all_hear_the_first_and_the_port_is_free(
    free_port: int, order: tuple[int, ...]
) -> None:
    assert together([node(rank) for rank in order], free_port) == ["from node 0"] * 4
    with socket.socket() as listener:
        listener.bind(("", free_port))  # as torchrun does: without a word about reuse


def test_one_node_meets_itself(free_port: int) -> None:
    assert together([node(0)], free_port) == ["from node 0"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"dataset": "e" * 64}, ("node 1 (host1)", "dataset", "eeeeeeee", "dddddddd")),
        ({"recipe": "s" * 64}, ("node 1 (host1)", "recipe and --set")),
        (
            {"software": Software({"llamafactory": "0.9.4", "torch": "2.11.0"}, 2)},
            ("node 1 (host1)", "llamafactory 0.9.4", "0.9.5"),
        ),
        ({"software": Software({"torch": "2.11.0"}, 2)}, ("llamafactory (not installed)", "0.9.5")),
        (
            {"software": msgspec.structs.replace(SOFTWARE, gpus=1)},
            ("node 1 (host1)", "1 GPUs", "needs 2"),
        ),
    ],
)
def test_every_node_is_told_which_one_differs_and_how(
    free_port: int, other: dict[str, object], words: tuple[str, ...]
) -> None:
    told = together([node(0), node(1, **other), node(2)], free_port)
    assert told[0] == told[1] == told[2]
    assert len(told[0]) == 1
    assert all(word in told[0][0] for word in words)


def test_what_a_node_found_out_by_itself_is_told_to_all_and_not_at_length(free_port: int) -> None:
    told = together([node(0), node(1, faults=("\u2620" * 5000,) * 100), node(2)], free_port)
    assert told[0] == told[1] == told[2]
    assert told[0][0] == "node 1 (host1): " + "\u2620" * 1000
    assert told[0][20:] == ("node 1 (host1): and 80 more, which this node prints",)


def test_two_nodes_of_one_rank_are_told_without_waiting_for_a_third(free_port: int) -> None:
    told = together([node(0), node(1), node(1, host="twin")], free_port, limit=600)
    assert told[0] == told[1] == told[2]
    assert "node 1 called 2 times, from host1 and twin" in told[0][0]
    assert "node 2 of 3 did not call" in told[0][1]


def test_a_node_that_does_not_come_is_named_to_those_that_did(free_port: int) -> None:
    told = together([node(0), node(2)], free_port, nnodes=4, limit=1.0)
    assert told[0] == told[1]
    assert "node 1, 3 of 4 did not call in time" in told[0][0]


@pytest.mark.parametrize(
    ("others", "kind"), [([], NodeError), ([{"dataset": "e" * 64}], PreflightError)]
)
def test_a_missing_node_alone_is_worth_another_start(
    free_port: int, others: list[dict[str, object]], kind: type[PreflightError]
) -> None:
    nodes = [node(0), *(node(1, **other) for other in others)]
    with ThreadPoolExecutor(len(nodes)) as pool:
        futures = [
            pool.submit(meet, facts, nnodes=3, master_addr=ADDR, master_port=free_port, limit=1.0)
            for facts in nodes
        ]
        for future in futures:
            with pytest.raises(PreflightError) as caught:
                future.result()
            assert caught.type is kind


def test_a_master_that_is_not_there_is_named(free_port: int) -> None:
    (told,) = together([node(1)], free_port, nnodes=2, limit=0.5)
    assert f"node 1 (host1) got no answer from the master at {ADDR}:{free_port}" in told[0]
    assert "refused" in told[0]


def test_a_master_whose_name_is_not_known_is_named(free_port: int) -> None:
    with pytest.raises(PreflightError, match=r"no-such-host\.invalid"):
        meet(
            node(1), nnodes=2, master_addr="no-such-host.invalid", master_port=free_port, limit=0.1
        )


def test_node_0_that_does_not_reach_itself_says_so_and_so_do_the_others(free_port: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(outcome, node(1), 2, free_port, 1.0)
        with pytest.raises(PreflightError, match="--master-addr must name node 0"):
            meet(
                node(0),
                nnodes=2,
                master_addr="no-such-host.invalid",
                master_port=free_port,
                limit=1.0,
            )
        assert "node 0 of 2 did not call" in other.result()[0]


def test_a_port_that_another_program_has_is_told(free_port: int) -> None:
    with listening("", free_port):
        (told,) = together([node(0)], free_port, nnodes=2, limit=0.3)
    assert f"cannot listen at port {free_port}" in told[0]
    assert "--master-port" in told[0]


def test_a_program_that_speaks_otherwise_is_not_the_master(free_port: int) -> None:
    with listening(ADDR, free_port, says=b"SSH-2.0-OpenSSH_9.2\r\n"):
        (told,) = together([node(1)], free_port, nnodes=2, limit=0.5)
    assert "the program that listens there is not mat-trainer" in told[0]


@contextlib.contextmanager
def listening(addr: str, port: int, says: bytes = b"") -> Iterator[None]:
    """A program that says a line to whoever calls."""
    done = threading.Event()
    with socket.create_server((addr, port)) as listener:
        listener.settimeout(0.1)

        def answer() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1 << 16)
                        connection.sendall(says)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextlib.contextmanager
def caller(port: int) -> Iterator[socket.socket]:
    """A connection to the master, once it listens."""
    with wait_for(lambda: connected(port)) as connection:
        yield connection


def connected(port: int) -> socket.socket | None:
    try:
        return socket.create_connection((ADDR, port))
    except ConnectionRefusedError:
        return None


HOSTILE = [
    b"",
    b"\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"[" * MAX_LINE_BYTES,
    b"x" * (MAX_LINE_BYTES + 1),
    b'{"type":"mat-trainer 1","caller":"c","facts":{"rank":"0"}}\n',
    b'{"type":"mat-trainer 2"}\n',
    msgspec.json.encode(Call("c", node(1))),  # without the end of the line
    msgspec.json.encode(Call("c", node(1))) + b"\nand more",
    msgspec.json.encode(Call("c", node(1, host="h" * MAX_LINE_BYTES))) + b"\n",
]


def test_strangers_do_not_disturb(free_port: int) -> None:
    with ThreadPoolExecutor(2) as pool, contextlib.ExitStack() as stack:
        first = pool.submit(outcome, node(0), 2, free_port, 30.0)
        for words in HOSTILE:
            # They stay connected, silent from here on.
            stack.enter_context(caller(free_port)).sendall(words)
        with caller(free_port) as gone:
            gone.sendall(b"half a li")
        second = pool.submit(outcome, node(1), 2, free_port, 30.0)
        assert [first.result(), second.result()] == ["from node 0"] * 2


def test_a_node_that_goes_away_may_come_again(free_port: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(outcome, node(0), 3, free_port, 30.0)
        with caller(free_port) as gone:
            gone.sendall(msgspec.json.encode(Call("a", node(1))) + b"\n")
        # One caller over two connections, of which the first seems to be open still.
        with caller(free_port) as old, caller(free_port) as new:
            for connection in (old, new):
                connection.sendall(msgspec.json.encode(Call("b", node(1))) + b"\n")
            second = pool.submit(outcome, node(2), 3, free_port, 30.0)
            assert [first.result(), second.result()] == ["from node 0"] * 2
            answers = sorted([old.recv(1 << 16), new.recv(1 << 16)])
    assert answers[0] == b""
    assert msgspec.json.decode(answers[1], type=Verdict) == Verdict([], "from node 0")
