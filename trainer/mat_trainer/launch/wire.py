"""The lines that nodes exchange, limited in size and time, and the caller's side."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

import msgspec

from mat_trainer.core.errors import NodeError, PreflightError
from mat_trainer.core.node import NodeFacts

MAX_LINE_BYTES = 128 << 10
MAX_ANSWER_BYTES = 64 << 20
_FAULTS = 20
_FAULT_LETTERS = 1000


class Call(msgspec.Struct, frozen=True, tag="mat-trainer 1"):
    """A node's message to node 0.

    Attributes:
        caller: A random name; a node that calls again keeps it.
        facts: The node's facts.
    """

    caller: str
    facts: NodeFacts


class Verdict(msgspec.Struct, frozen=True, tag="mat-trainer 1 verdict"):
    """Node 0's answer: without faults, the nodes begin.

    Attributes:
        faults: Why they do not, one sentence each.
        announcement: Node 0's message.
        stopped: Whether a node was asked to stop, which is no fault.
        lost: Whether nothing is wrong but that a node is missing or lost.
    """

    faults: Sequence[str]
    announcement: str
    stopped: bool = False
    lost: bool = False

    def check(self) -> str:
        """The announcement.

        Raises:
            NodeError: A node is missing or lost.
            PreflightError: The nodes do not fit together, or one has failed.
        """
        if self.faults:
            raise (NodeError if self.lost else PreflightError)(*self.faults)
        return self.announcement


def shortened(facts: NodeFacts) -> NodeFacts:
    """The same facts, with as many faults as fit into the line."""
    faults = [fault[:_FAULT_LETTERS] for fault in facts.faults[:_FAULTS]]
    if len(facts.faults) > _FAULTS:
        faults.append(f"and {len(facts.faults) - _FAULTS} more, which this node prints")
    return msgspec.structs.replace(facts, faults=tuple(faults))


def call(addr: str, port: int, words: Call, seconds: float) -> Verdict:
    """Sends `words` to the master and waits for its verdict.

    Raises:
        OSError: The master cannot be reached, or hung up.
        ValueError: Another program answered.
    """
    end = time.monotonic() + seconds
    with socket.create_connection((addr, port), timeout=_left(end)) as connection:
        connection.sendall(msgspec.json.encode(words) + b"\n")
        answer = bytearray()
        while not answer.endswith(b"\n"):
            connection.settimeout(_left(end))
            block = connection.recv(1 << 16)
            if not block:
                raise ConnectionError("it hung up without an answer")
            answer += block
            if len(answer) > MAX_ANSWER_BYTES:
                raise ValueError("the program that listens there is not mat-trainer")
    try:
        return msgspec.json.decode(answer, type=Verdict)
    except msgspec.DecodeError:
        raise ValueError("the program that listens there is not mat-trainer") from None


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left
