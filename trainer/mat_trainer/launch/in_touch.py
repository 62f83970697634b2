"""Nodes stay connected while they stage the dataset, so that a lost one is known within a minute.

After the rendezvous every node, node 0 too, connects to node 0 again, and both sides send a short
line every few seconds. When a node is ready it sends its `NodeFacts`. As soon as one node fails, is
silent for too long, or all are ready, node 0 answers all of them, and its port is free again.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mat_trainer.core.node import NodeFacts, disagreements
from mat_trainer.launch.reception import listen
from mat_trainer.launch.wire import MAX_ANSWER_BYTES, MAX_LINE_BYTES, Verdict, shortened

BEAT_SECONDS = 3.0
SILENCE_SECONDS = 30.0
"""A node that is not heard of for so long is lost."""

_GOODBYE_SECONDS = 2.0
_RETRY_SECONDS = 0.5
_MAX_CONNECTIONS = 256


class Beat(msgspec.Struct, frozen=True, tag="mat-trainer 1 beat"):
    """A node's message: it lives."""

    rank: int
    host: str


class Ready(msgspec.Struct, frozen=True, tag="mat-trainer 1 ready"):
    """A node's message: it can train, or cannot.

    Attributes:
        facts: The node's facts, with its faults.
        stopped: Whether it was asked to stop, which is no fault.
    """

    facts: NodeFacts
    stopped: bool = False


class InTouch:
    """One node's connection, in a thread of its own. Made by `in_touch`.

    Args:
        facts: This node's.
        addr: Node 0's name or address.
        port: Node 0's port.
        ended: Called, in that thread, when node 0 answers before this node has asked: another
            node has failed, or is lost.
    """

    def __init__(
        self, facts: NodeFacts, addr: str, port: int, ended: Callable[[Verdict], None]
    ) -> None:
        self._beat = msgspec.json.encode(Beat(facts.rank, facts.host)) + b"\n"
        self._facts = facts
        self._place = (addr, port)
        self._ended = ended
        self._ready = b""
        self._verdict: Verdict | None = None
        self._thread = threading.Thread(target=self._keep, name="in touch", daemon=True)
        self._thread.start()

    def agree(self, facts: NodeFacts) -> str:
        """Says that this node is ready, and waits for the others.

        Returns:
            Node 0's announcement.

        Raises:
            NodeError: A node is lost; with its name.
            PreflightError: A node is not ready; with its name.
        """
        return self.tell(Ready(shortened(facts))).check()

    def tell(self, ready: Ready) -> Verdict:
        """Sends how this node is, and waits for node 0's answer."""
        self._ready = msgspec.json.encode(ready) + b"\n"
        self._thread.join()
        assert self._verdict is not None
        return self._verdict

    @property
    def is_answered(self) -> bool:
        """Whether node 0 has answered."""
        return self._verdict is not None

    def close(self) -> None:
        """Waits until `ended` has been called, if it has to be."""
        self._thread.join()

    def _keep(self) -> None:
        heard = time.monotonic()
        why = "no answer"
        while self._verdict is None:
            if time.monotonic() - heard > SILENCE_SECONDS:
                self._verdict = Verdict([self._lost(why)], "", lost=True)
                break
            try:
                with socket.create_connection(self._place, timeout=BEAT_SECONDS) as connection:
                    heard = self._talk(connection, heard)
            except OSError as error:
                why = str(error) or type(error).__name__
            if self._verdict is None:
                time.sleep(_RETRY_SECONDS)
        if not self._ready:
            self._ended(self._verdict)

    def _talk(self, connection: socket.socket, heard: float) -> float:
        """Beats, and hears node 0's beats, until it answers, hangs up or is silent."""
        answer = bytearray()
        sent, is_sent = 0.0, False
        connection.settimeout(_RETRY_SECONDS)
        while time.monotonic() - heard <= SILENCE_SECONDS:
            if time.monotonic() - sent >= BEAT_SECONDS:
                connection.sendall(self._beat)
                sent = time.monotonic()
            if self._ready and not is_sent:
                connection.sendall(self._ready)
                is_sent = True
            try:
                block = connection.recv(1 << 16)
            except TimeoutError:
                continue
            if not block:
                raise ConnectionError("it hung up")
            heard = time.monotonic()
            answer += block
            *lines, rest = answer.split(b"\n")
            answer = bytearray(rest)
            for line in filter(None, lines):
                self._verdict = _decoded(bytes(line), Verdict)
            if self._verdict is not None or len(answer) > MAX_ANSWER_BYTES:
                break
        return heard

    def _lost(self, why: str) -> str:
        addr, port = self._place
        return (
            f"node 0 is lost: {self._facts.name} did not hear from it at {addr}:{port} for "
            f"{SILENCE_SECONDS:.0f} s ({why}); look at what it printed, and start all nodes again"
        )


@contextlib.contextmanager
def in_touch(
    facts: NodeFacts,
    *,
    nnodes: int,
    master_addr: str,
    master_port: int,
    announcement: Callable[[], str],
    ended: Callable[[Verdict], None],
) -> Iterator[InTouch]:
    """Stays in touch with the other nodes while the block lasts.

    If the block raises an exception, the other nodes get it.

    Args:
        facts: This node's.
        nnodes: How many nodes there are.
        master_addr: Node 0's name or address.
        master_port: Node 0's port.
        announcement: On node 0: makes its message to the others when all are ready.
        ended: As in `InTouch`.

    Raises:
        PreflightError: Node 0 cannot listen at its port.
    """
    with contextlib.ExitStack() as stack:
        if facts.rank == 0:
            hub = Hub(master_port, nnodes, announcement)
            thread = threading.Thread(target=hub.serve, name="hub", daemon=True)
            thread.start()
            stack.callback(thread.join)
        touch = InTouch(facts, master_addr, master_port, ended)
        try:
            yield touch
        except BaseException as error:
            if not touch.is_answered:
                touch.tell(_ready_of(facts, error))
            raise
        finally:
            touch.close()


def _ready_of(facts: NodeFacts, error: BaseException) -> Ready:
    if getattr(error, "is_stop", False):
        return Ready(facts, stopped=True)
    words = getattr(error, "faults", None) or (
        " ".join(f"{type(error).__name__}: {error}".split()),
    )
    return Ready(shortened(msgspec.structs.replace(facts, faults=tuple(words))))


@dataclass
class _Guest:
    connection: socket.socket
    heard: bytearray = field(default_factory=bytearray)


class Hub:
    """Node 0's side. Listens once it is made; `serve` does the rest, in a thread of its own."""

    def __init__(self, port: int, nnodes: int, announcement: Callable[[], str]) -> None:
        self._announcement = announcement
        self._listener = listen(port)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._guests: dict[socket.socket, _Guest] = {}
        self._heard = dict.fromkeys(range(nnodes), time.monotonic())
        self._hosts: dict[int, str] = {}
        self._ready: dict[int, Ready] = {}

    def serve(self) -> None:
        """Listens to the nodes until one fails or all are ready; then answers all of them."""
        beaten = time.monotonic()
        while (verdict := self._verdict()) is None:
            for key, _ in self._selector.select(_RETRY_SECONDS):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._hear(self._guests[key.fileobj])
            if time.monotonic() - beaten >= BEAT_SECONDS:
                beaten = time.monotonic()
                self._send(b"\n")
        self._selector.unregister(self._listener)
        self._listener.close()  # before another process learns that it may use the port
        self._send(msgspec.json.encode(verdict) + b"\n")
        end = time.monotonic() + _GOODBYE_SECONDS
        for guest in list(self._guests.values()):
            # The side that closes first keeps the port busy for a while: that should be the nodes.
            with contextlib.suppress(OSError):
                while (left := end - time.monotonic()) > 0:
                    guest.connection.settimeout(left)
                    if not guest.connection.recv(1 << 16):
                        break
            self._drop(guest)
        self._selector.close()

    def _verdict(self) -> Verdict | None:
        ready = [self._ready[rank] for rank in sorted(self._ready)]
        if any(one.stopped for one in ready):
            names = [one.facts.name for one in ready if one.stopped]
            return Verdict([f"{name} was asked to stop" for name in names], "", stopped=True)
        troubled = [one.facts for one in ready if one.facts.faults]
        faults = [f"{facts.name}: {fault}" for facts in troubled for fault in facts.faults]
        now = time.monotonic()
        faults += [
            f"node {rank}{self._host(rank)} is lost: node 0 did not hear from it for "
            f"{SILENCE_SECONDS:.0f} s; look at what it printed, and start all nodes again"
            for rank, heard in self._heard.items()
            if now - heard > SILENCE_SECONDS
        ]
        if faults:
            return Verdict(faults, "", lost=not troubled)
        if len(ready) < len(self._heard):
            return None
        faults = disagreements([one.facts for one in ready], len(self._heard))
        return Verdict(faults, self._announcement())

    def _host(self, rank: int) -> str:
        return f" ({self._hosts[rank]})" if rank in self._hosts else ""

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it went away at once
            connection, _ = self._listener.accept()
            if len(self._guests) >= len(self._heard) + _MAX_CONNECTIONS:
                connection.close()
                return
            connection.settimeout(BEAT_SECONDS)
            self._guests[connection] = _Guest(connection)
            self._selector.register(connection, selectors.EVENT_READ)

    def _hear(self, guest: _Guest) -> None:
        try:
            block = guest.connection.recv(MAX_LINE_BYTES)
        except OSError:
            block = b""
        guest.heard += block
        *lines, rest = guest.heard.split(b"\n")
        guest.heard = bytearray(rest)
        if not all(self._take(bytes(line)) for line in lines) or not block:
            self._drop(guest)  # it has hung up, or is no node
        elif len(rest) > MAX_LINE_BYTES:
            self._drop(guest)

    def _take(self, line: bytes) -> bool:
        """Whether a line is a message of a node."""
        message = _decoded(line, Beat | Ready)
        if message is None:
            return False
        rank = message.rank if isinstance(message, Beat) else message.facts.rank
        if rank not in self._heard:
            return False
        self._heard[rank] = time.monotonic()
        if isinstance(message, Ready):
            self._ready[rank] = message
        else:
            self._hosts[rank] = message.host
        return True

    def _send(self, line: bytes) -> None:
        for guest in list(self._guests.values()):
            try:
                guest.connection.sendall(line)
            except OSError:
                self._drop(guest)

    def _drop(self, guest: _Guest) -> None:
        self._selector.unregister(guest.connection)
        guest.connection.close()
        del self._guests[guest.connection]


def _decoded(line: bytes, kind: Any) -> Any:
    """A message of this kind; None if the line is none."""
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError:
        return None
