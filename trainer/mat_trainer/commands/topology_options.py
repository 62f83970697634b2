"""The options that say how many processes train and where: of ``plan`` and ``run``."""

from __future__ import annotations

import argparse

from mat_trainer.core.recipe import Recipe
from mat_trainer.core.topology import DEFAULT_PORT, Topology


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds them to a subcommand."""
    group = parser.add_argument_group("where it trains")
    group.add_argument(
        "--nproc-per-node",
        type=int,
        metavar="N",
        help="processes on this node; default: one for each GPU, one for a recipe on the CPU",
    )
    group.add_argument("--nnodes", type=int, default=1, metavar="N", help="default: %(default)s")
    group.add_argument("--node-rank", type=int, default=0, metavar="R", help="of this node, from 0")
    group.add_argument(
        "--master-addr",
        default=Topology().master_addr,
        metavar="A",
        help="name or address of node 0 as the others reach it; needed for several nodes",
    )
    group.add_argument(
        "--master-port",
        type=int,
        default=DEFAULT_PORT,
        metavar="P",
        help="of node 0, the same on all nodes; default: %(default)s",
    )


def topology(args: argparse.Namespace, recipe: Recipe) -> Topology:
    """The topology as typed. `mat_trainer.core.command.launch` checks it."""
    nproc = args.nproc_per_node
    if nproc is None and recipe.on_cpu:
        nproc = 1
    return Topology(nproc, args.nnodes, args.node_rank, args.master_addr, args.master_port)
