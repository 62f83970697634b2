"""The command that trains, and its environment. Pure: nothing is started here."""

from __future__ import annotations

import ipaddress
import shlex

import msgspec

from mat_trainer.core.control import LOG_DIR
from mat_trainer.core.errors import ConfigError
from mat_trainer.core.topology import Topology

MODULE = "mat_trainer.worker.train"


class Launch(msgspec.Struct, frozen=True):
    """A command and the variables that are set for it, on one node."""

    command: tuple[str, ...]
    environment: dict[str, str]

    def shell(self) -> str:
        """Both, for a shell to run."""
        variables = (f"{name}={shlex.quote(text)}" for name, text in self.environment.items())
        return " \\\n  ".join((*variables, shlex.join(self.command)))


def launch(
    yaml_path: str, topology: Topology, log_dir: str, python: str, *, deepspeed: bool = False
) -> Launch:
    """The command of this node, in the words that LLaMA-Factory's launcher reads.

    Args:
        yaml_path: The plan's file.
        topology: The run's. Without a number of processes LLaMA-Factory starts one for each GPU.
        log_dir: For one log a rank.
        python: Of the environment that LLaMA-Factory is installed in.
        deepspeed: Whether DeepSpeed trains.

    Raises:
        ConfigError: With every fault of the topology and the path.
    """
    found = faults(topology)
    if len(yaml_path.split()) != 1:
        found.append(
            f"{yaml_path!r}: LLaMA-Factory's launcher splits its arguments at spaces; choose an "
            "output folder without any"
        )
    if found:
        raise ConfigError(found)
    environment = {}
    if needs_torchrun(topology, deepspeed=deepspeed):
        # Without it NNODES=2 trains on each node alone, and ends well.
        environment["FORCE_TORCHRUN"] = "1"
    environment["NNODES"] = str(topology.nnodes)
    environment["NODE_RANK"] = str(topology.node_rank)
    if topology.nproc_per_node is not None:
        environment["NPROC_PER_NODE"] = str(topology.nproc_per_node)
    environment["MASTER_ADDR"] = topology.master_addr
    environment["MASTER_PORT"] = str(topology.master_port)
    environment[LOG_DIR] = log_dir
    return Launch((python, "-m", MODULE, yaml_path), environment)


def needs_torchrun(topology: Topology, *, deepspeed: bool = False) -> bool:
    """Whether torchrun has to be forced: there are several processes, or DeepSpeed.

    With the number of processes left open LLaMA-Factory decides by the GPUs that it sees.
    """
    return deepspeed or topology.nnodes > 1 or (topology.nproc_per_node or 1) > 1


def faults(topology: Topology) -> list[str]:
    """What is wrong with a topology, a sentence each."""
    found = []
    nproc, nnodes, rank = topology.nproc_per_node, topology.nnodes, topology.node_rank
    if nproc is not None and nproc < 1:
        found.append(f"--nproc-per-node {nproc}: give at least 1")
    if nnodes < 1:
        found.append(f"--nnodes {nnodes}: give at least 1")
    if not 0 <= rank < max(nnodes, 1):
        found.append(f"--node-rank {rank}: {nnodes} node(s) are counted from 0 to {nnodes - 1}")
    if not 1 <= topology.master_port <= 65535:
        found.append(f"--master-port {topology.master_port}: give a port from 1 to 65535")
    addr = topology.master_addr
    if len(addr.split()) != 1:
        found.append(f"--master-addr {addr!r}: give one host name or address")
    elif nnodes > 1 and is_own(addr):
        found.append(
            f"--master-addr {addr}: means each node itself, {nnodes} nodes would never meet; give "
            "the name or address of node 0 as the others reach it"
        )
    return found


def is_own(addr: str) -> bool:
    """Whether an address means whatever machine it is used on.

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
