"""Node 0's side of the rendezvous: reads every node's facts, then answers all nodes."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from dataclasses import dataclass, field

import msgspec

from mat_trainer.core.errors import PreflightError
from mat_trainer.core.node import disagreements
from mat_trainer.launch import ports
from mat_trainer.launch.wire import MAX_LINE_BYTES, Call, Verdict

_SILENCE_SECONDS = 10.0  # until a silent connection is closed
_BIND_SECONDS = 10.0  # for an earlier training to free the port
_GOODBYE_SECONDS = 2.0
_MAX_STRANGERS = 256


@dataclass
class _Guest:
    """A connection, and the bytes that it has sent so far."""

    connection: socket.socket
    heard: bytearray = field(default_factory=bytearray)
    call: Call | None = None
    since: float = field(default_factory=time.monotonic)


class Reception:
    """Listens once it is made; `serve` does the rest, in a thread of its own."""

    def __init__(self, port: int, nnodes: int, announcement: str, limit: float) -> None:
        self._end = time.monotonic() + limit
        self._nnodes = nnodes
        self._announcement = announcement
        self._listener = listen(port, min(limit, _BIND_SECONDS))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._guests: dict[socket.socket, _Guest] = {}

    def __enter__(self) -> Reception:
        return self

    def __exit__(self, *_: object) -> None:
        for guest in list(self._guests.values()):
            self._drop(guest)
        self._selector.close()
        self._listener.close()

    def serve(self) -> None:
        """Reads the calls until all nodes have called or the time is over, then answers."""
        while len(self._calls()) < self._nnodes and (left := self._end - time.monotonic()) > 0:
            for key, _ in self._selector.select(min(left, 1.0)):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._hear(self._guests[key.fileobj])
            self._close_silent()
        # Frees the port before another process learns that it may use it.
        self._selector.unregister(self._listener)
        self._listener.close()
        nodes = [call.facts for call in self._calls()]
        faults = disagreements(nodes, self._nnodes)
        lost = len(faults) == 1 and len({node.rank for node in nodes}) < self._nnodes
        self._answer(Verdict(faults, self._announcement, lost=lost))

    def _calls(self) -> list[Call]:
        return [guest.call for guest in self._guests.values() if guest.call is not None]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it went away at once
            connection, _ = self._listener.accept()
            if len(self._guests) >= self._nnodes + _MAX_STRANGERS:
                connection.close()
                return
            connection.setblocking(False)
            self._guests[connection] = _Guest(connection)
            self._selector.register(connection, selectors.EVENT_READ)

    def _hear(self, guest: _Guest) -> None:
        try:
            block = guest.connection.recv(MAX_LINE_BYTES)
        except OSError:
            block = b""
        # The node has hung up, or sends more than one line.
        if not block or guest.call is not None:
            self._drop(guest)
            return
        guest.heard += block
        line, found, rest = guest.heard.partition(b"\n")
        if not found and len(guest.heard) <= MAX_LINE_BYTES:
            return
        whole = found and not rest and len(line) <= MAX_LINE_BYTES
        try:
            call = msgspec.json.decode(line, type=Call) if whole else None
        except msgspec.DecodeError:
            call = None
        if call is None:
            self._drop(guest)  # a stranger, such as a port scanner or a browser
            return
        for other in list(self._guests.values()):
            if other.call is not None and other.call.caller == call.caller:
                self._drop(other)
        guest.call = call

    def _close_silent(self) -> None:
        now = time.monotonic()
        for guest in list(self._guests.values()):
            if guest.call is None and now - guest.since > _SILENCE_SECONDS:
                self._drop(guest)

    def _answer(self, verdict: Verdict) -> None:
        line = msgspec.json.encode(verdict) + b"\n"
        end = time.monotonic() + _GOODBYE_SECONDS
        guests = [guest for guest in self._guests.values() if guest.call is not None]
        for guest in guests:
            with contextlib.suppress(OSError):
                guest.connection.sendall(line)  # into its empty buffer: this does not wait
        # The side that closes first keeps the port busy for a while: that should be the callers.
        for guest in guests:
            with contextlib.suppress(OSError):
                guest.connection.settimeout(max(end - time.monotonic(), 0.001))
                guest.connection.recv(1)

    def _drop(self, guest: _Guest) -> None:
        self._selector.unregister(guest.connection)
        guest.connection.close()
        del self._guests[guest.connection]


def listen(port: int, seconds: float = _BIND_SECONDS) -> socket.socket:
    """A socket that listens at a port of this machine.

    Args:
        port: The port.
        seconds: Time for another program to free it.

    Raises:
        PreflightError: Another program uses it; the message says which.
    """
    end = time.monotonic() + seconds
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    while True:
        try:
            listener = socket.create_server(("", port), family=family, dualstack_ipv6=both)
            listener.setblocking(False)
            return listener
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= end:
                user = ports.user(port) or "another program"
                raise PreflightError(
                    f"node 0 ({socket.gethostname()}) cannot listen at port {port} "
                    f"({error.strerror}): {user} uses it; stop that program, or choose another "
                    "--master-port on all nodes",
                ) from None
        time.sleep(0.2)
