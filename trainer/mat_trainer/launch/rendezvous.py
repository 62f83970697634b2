"""Nodes agree before they begin, so that none waits in NCCL for a node that never comes.

Each node, node 0 too, calls the master's address, sends its `NodeFacts` and waits for the verdict.
On node 0 a thread listens there, at the port that torchrun will use, compares the facts, frees the
port and answers all nodes. One line of JSON each way.
"""

from __future__ import annotations

import threading
import time
import uuid

from mat_trainer.core.errors import NodeError
from mat_trainer.core.node import NodeFacts
from mat_trainer.launch.reception import Reception
from mat_trainer.launch.wire import Call, call, shortened

LIMIT_SECONDS = 50.0
"""Time for all nodes to call, so that each knows the verdict within a minute."""

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
    """Waits for all nodes; returns if they fit together. The master's port is free then.

    Args:
        facts: This node's.
        nnodes: How many nodes there are.
        master_addr: Node 0's name or address.
        master_port: Node 0's port.
        announcement: Node 0's message to the others, such as the checkpoint to resume from; at most
            some thousand characters.
        limit: Seconds for all nodes to call.

    Returns:
        Node 0's announcement, on every node.

    Raises:
        NodeError: A node did not call, or this node cannot reach the master.
        PreflightError: The nodes do not fit together.
    """
    if facts.rank != 0:
        return _ask(facts, master_addr, master_port, limit + _REPLY_SECONDS)
    with Reception(master_port, nnodes, announcement, limit) as reception:
        thread = threading.Thread(target=reception.serve, name="rendezvous", daemon=True)
        thread.start()
        try:
            # Through the address that the others use, to check that it is this node's.
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
        # The master may not listen yet, its name may be new, or another program may be ending.
        if left <= _RETRY_SECONDS:
            raise NodeError(_unreached(facts, addr, port, limit, why)) from None
        time.sleep(_RETRY_SECONDS)
    return verdict.check()


def _unreached(facts: NodeFacts, addr: str, port: int, limit: float, why: str) -> str:
    cure = (
        "check that node 0 is started, that the address is its own, and that no firewall blocks it"
    )
    if facts.rank == 0:
        cure = "check that the address is this node's: --master-addr must name node 0"
    return (
        f"{facts.name} got no answer from the master at {addr}:{port} in {limit:.0f} s "
        f"({why}): {cure}"
    )
