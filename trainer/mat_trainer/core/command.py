"""The nodes and processes of a run, and the command that trains. Pure; starts nothing."""

from __future__ import annotations

import ipaddress
import shlex

import msgspec

from mat_trainer.core.control import LOG_DIR
from mat_trainer.core.errors import ConfigError

MODULE = "mat_trainer.worker.train"
DEFAULT_PORT = 29500


class Topology(msgspec.Struct, frozen=True):
    """Nodes and processes of one run.

    Attributes:
        nproc_per_node: Processes on each node; None for one on each GPU.
        nnodes: How many nodes.
        node_rank: The number of this node, from 0.
        master_addr: Name or address of node 0, as the other nodes reach it.
        master_port: A port of node 0. Without it LLaMA-Factory would choose one on each node.
    """

    nproc_per_node: int | None = None
    nnodes: int = 1
    node_rank: int = 0
    master_addr: str = "127.0.0.1"
    master_port: int = DEFAULT_PORT


class Launch(msgspec.Struct, frozen=True):
    """A command for one node, and the environment variables to set for it."""

    command: tuple[str, ...]
    environment: dict[str, str]

    def shell(self) -> str:
        """Both, as a shell command."""
        variables = (f"{name}={shlex.quote(text)}" for name, text in self.environment.items())
        return " \\\n  ".join((*variables, shlex.join(self.command)))


def launch(
    yaml_path: str, topology: Topology, log_dir: str, python: str, *, deepspeed: bool = False
) -> Launch:
    """The command for this node, as LLaMA-Factory's launcher takes it.

    Args:
        yaml_path: The plan's file.
        topology: Without a number of processes, LLaMA-Factory starts one for each GPU.
        log_dir: Folder for a log of each rank.
        python: The interpreter of the environment with LLaMA-Factory.
        deepspeed: Whether DeepSpeed trains.

    Raises:
        ConfigError: With every fault of the topology and of the path.
    """
    found = faults(topology)
    if len(yaml_path.split()) != 1:
        found.append(
            f"{yaml_path!r}: LLaMA-Factory's launcher splits its arguments at spaces; choose an "
            "output folder without spaces"
        )
    if found:
        raise ConfigError(*found)
    environment = {}
    # Without torchrun, two nodes would each train alone, without an error. If there is no number of
    # processes, LLaMA-Factory decides by the GPUs that it finds.
    if deepspeed or topology.nnodes > 1 or (topology.nproc_per_node or 1) > 1:
        environment["FORCE_TORCHRUN"] = "1"
    environment["NNODES"] = str(topology.nnodes)
    environment["NODE_RANK"] = str(topology.node_rank)
    if topology.nproc_per_node is not None:
        environment["NPROC_PER_NODE"] = str(topology.nproc_per_node)
    environment["MASTER_ADDR"] = topology.master_addr
    environment["MASTER_PORT"] = str(topology.master_port)
    environment[LOG_DIR] = log_dir
    return Launch((python, "-m", MODULE, yaml_path), environment)


def faults(topology: Topology) -> list[str]:
    """The faults of a topology, one sentence each."""
    found = []
    nproc, nnodes, rank = topology.nproc_per_node, topology.nnodes, topology.node_rank
    for option, number in (("--nproc-per-node", nproc), ("--nnodes", nnodes)):
        if number is not None and number < 1:
            found.append(f"{option} {number}: must be at least 1")
    if not 0 <= rank < max(nnodes, 1):
        found.append(f"--node-rank {rank}: must be from 0 to {nnodes - 1} for --nnodes {nnodes}")
    if not 1 <= topology.master_port <= 65535:
        found.append(f"--master-port {topology.master_port}: must be from 1 to 65535")
    addr = topology.master_addr
    if len(addr.split()) != 1:
        found.append(f"--master-addr {addr!r}: must be one host name or address")
    elif nnodes > 1 and is_own(addr):
        found.append(
            f"--master-addr {addr}: every node would call itself, so {nnodes} nodes never meet; "
            "pass the name or address of node 0 as the other nodes reach it"
        )
    return found


def is_own(addr: str) -> bool:
    """Whether an address means the machine that uses it.

    >>> is_own("localhost"), is_own("127.0.1.1"), is_own("node0"), is_own("10.0.0.1")
    (True, True, False, False)
    """
    name = addr.strip("[]").rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        first = name.partition(".")[0]
        return first in ("localhost", "ip6-localhost", "ip6-loopback") or name.endswith(
            ".localhost"
        )
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback or address.is_unspecified)
