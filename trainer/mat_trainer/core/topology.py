"""How many processes train, where, and which one this is."""

from __future__ import annotations

import msgspec

DEFAULT_PORT = 29500


class Topology(msgspec.Struct, frozen=True):
    """Nodes and processes of one run.

    Attributes:
        nproc_per_node: Processes on each node; None for one for each GPU that is there.
        nnodes: Nodes.
        node_rank: This node's, from 0.
        master_addr: Name or address of node 0, as the others reach it.
        master_port: The same on all nodes, fixed: LLaMA-Factory would draw one on each node.
    """

    nproc_per_node: int | None = None
    nnodes: int = 1
    node_rank: int = 0
    master_addr: str = "127.0.0.1"
    master_port: int = DEFAULT_PORT
