"""The facts that nodes exchange before a run, and whether the nodes fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec


class Software(msgspec.Struct, frozen=True):
    """Versions and GPUs of a machine.

    Attributes:
        versions: Version by the distribution's name.
        gpus: How many GPUs PyTorch can use.
    """

    versions: dict[str, str]
    gpus: int


class SettingsVerdict(msgspec.Struct, frozen=True):
    """What LLaMA-Factory's own code on a machine says of settings, before a model is loaded.

    Attributes:
        rejected: Why its parser rejects them; empty if it accepts them.
        faults: Why training would fail nevertheless, one sentence each.
    """

    rejected: str = ""
    faults: tuple[str, ...] = ()


class NodeFacts(msgspec.Struct, frozen=True):
    """The facts of a node.

    Attributes:
        rank: Its number, from 0.
        host: Its name, for messages.
        dataset: The dataset's digest; its lineage if node 0 has yet to choose the generation.
        recipe: Digest of the settings, which must be the same on all nodes.
        software: The versions installed there.
        promised_gpus: GPUs that the run needs on it; 0 to train on the CPU.
        faults: Why it cannot train; empty if it can.
    """

    rank: int
    host: str
    dataset: str
    recipe: str
    software: Software
    promised_gpus: int
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For messages.

        >>> NodeFacts(1, "gpu-b", "", "", Software({}, 0), 0).name
        'node 1 (gpu-b)'
        """
        return f"node {self.rank} ({self.host})"


class Begin(msgspec.Struct, frozen=True):
    """Node 0's message to the other nodes before anything is staged.

    Attributes:
        mark: A file that it has made in the output folder.
        generation: The generation that it has chosen, if it has chosen one.
    """

    mark: str
    generation: int | None


def disagreements(nodes: Sequence[NodeFacts], nnodes: int) -> list[str]:
    """Why these nodes cannot train together, one sentence each; none if they can.

    The nodes are compared with node 0, or with the lowest rank if node 0 is missing.
    """
    faults = _rank_faults(nodes, nnodes)
    troubled = [node for node in nodes if node.faults]
    if troubled:
        return faults + [f"{node.name}: {fault}" for node in troubled for fault in node.faults]
    for node in nodes:
        if node.software.gpus < node.promised_gpus:
            faults.append(
                f"{node.name} has {node.software.gpus} GPUs that PyTorch can use, this run "
                f"needs {node.promised_gpus}: check CUDA_VISIBLE_DEVICES and nvidia-smi there, or "
                "pass --nproc-per-node"
            )
    ordered = sorted(nodes, key=lambda node: node.rank)
    for node in ordered[1:]:
        faults += _differences(ordered[0], node)
    return faults


def _rank_faults(nodes: Sequence[NodeFacts], nnodes: int) -> list[str]:
    faults = []
    counts = Counter(node.rank for node in nodes)
    for rank, count in sorted(counts.items()):
        hosts = " and ".join(sorted(node.host for node in nodes if node.rank == rank))
        if not 0 <= rank < nnodes:
            faults.append(
                f"node {rank} ({hosts}): ranks go from 0 to {nnodes - 1}; check --node-rank"
            )
        elif count > 1:
            faults.append(f"node {rank} called {count} times, from {hosts}: check --node-rank")
    missing = [rank for rank in range(nnodes) if rank not in counts]
    if missing:
        ranks = ", ".join(str(rank) for rank in missing)
        faults.append(
            f"node {ranks} of {nnodes} did not call in time: check that it was started, what it "
            "printed, and that it reaches the port of node 0"
        )
    return faults


def _differences(first: NodeFacts, other: NodeFacts) -> list[str]:
    faults = [
        f"{other.name} has another {what} than {first.name} ({theirs[:16]}, {ours[:16]}): pass the "
        f"same {options} on all nodes"
        for what, ours, theirs, options in (
            ("dataset", first.dataset, other.dataset, "--dataset"),
            ("recipe", first.recipe, other.recipe, "recipe and --set"),
        )
        if ours != theirs
    ]
    ours, theirs = first.software.versions, other.software.versions
    return faults + [
        f"{other.name} has {name} {theirs.get(name, '(not installed)')}, {first.name} has "
        f"{ours.get(name, '(not installed)')}: install the same version on all nodes"
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    ]
