"""Nodes that agree before they begin, so that none waits in NCCL for one that will not come.

Each node, the first too, calls the master's address, says what it is (`NodeFacts`) and waits for
the verdict. On node 0 a thread listens there, at the very port that torchrun will use, compares
what they say, gives the port back and answers all of them. One line of JSON each way.
"""

from __future__ import annotations

import threading
import time
import uuid

from mat_trainer.core.errors import PreflightError
from mat_trainer.core.node import NodeFacts
from mat_trainer.launch.reception import Reception
from mat_trainer.launch.wire import Call, Verdict, call, shortened

LIMIT_SECONDS = 50.0
"""Until which all nodes must have come: every node knows the verdict within a minute."""

_REPLY_SECONDS = 5.0
_RETRY_SECONDS = 0.5


def meet(
    facts: NodeFacts,
    *,
    nnodes: int,
    master_addr: str,
    master_port: int,
    announcement: str = "",
    limit: float = LIMIT_SECONDS,
) -> str:
    """Waits for all nodes and returns if they fit together. The master's port is free then.

    Args:
        facts: This node's.
        nnodes: How many there are.
        master_addr: Node 0's name or address.
        master_port: Node 0's port.
        announcement: What node 0 tells the others, such as the checkpoint to go on from; at most
            some thousand characters.
        limit: Seconds for all of them to come.

    Returns:
        Node 0's announcement, on every node.

    Raises:
        PreflightError: They do not fit together, one did not come, or the master cannot be reached.
    """
    if facts.rank != 0:
        return _ask(facts, master_addr, master_port, limit + _REPLY_SECONDS)
    with Reception(master_port, nnodes, announcement, limit) as reception:
        thread = threading.Thread(target=reception.serve, name="rendezvous", daemon=True)
        thread.start()
        try:
            # Through the address that the others use: is it really this node's?
            return _ask(facts, master_addr, master_port, limit + _REPLY_SECONDS)
        finally:
            thread.join()


def _ask(facts: NodeFacts, addr: str, port: int, limit: float) -> str:
    begin = time.monotonic()
    words = Call(uuid.uuid4().hex, shortened(facts))
    while True:
        left = limit - (time.monotonic() - begin)
        try:
            verdict = call(addr, port, words, left)
            break
        except (OSError, ValueError) as error:
            why = str(error) or type(error).__name__
        # It may not listen yet, not have its name yet, or be another program that is about to end.
        if left <= _RETRY_SECONDS:
            raise PreflightError([_unreached(facts, addr, port, limit, why)]) from None
        time.sleep(_RETRY_SECONDS)
    return _heard(verdict)


def _heard(verdict: Verdict) -> str:
    if verdict.faults:
        raise PreflightError(verdict.faults)
    return verdict.announcement


def _unreached(facts: NodeFacts, addr: str, port: int, limit: float, why: str) -> str:
    cure = "is node 0 started, is the address its own, does a firewall close the port?"
    if facts.rank == 0:
        cure = "is that address this node's? --master-addr must name node 0"
    return (
        f"{facts.name} got no answer from the master at {addr}:{port} in {limit:.0f} s "
        f"({why}): {cure}"
    )
