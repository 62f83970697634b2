"""What each node says of itself before a run of several, and whether they fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec


class Software(msgspec.Struct, frozen=True):
    """What is installed where training runs.

    Attributes:
        versions: By the name of the distribution.
        gpus: That PyTorch can use; 0 for none.
    """

    versions: dict[str, str]
    gpus: int


class NodeFacts(msgspec.Struct, frozen=True):
    """A node as it presents itself.

    Attributes:
        rank: From 0.
        host: Its name, for messages.
        dataset: The manifest's digest, or of a dataset's newest generation, what all of its
            generations have in common: node 0 says which one it is to be.
        recipe: Digest of the settings that all nodes must share.
        software: What is installed there.
        promised_gpus: That this run uses on it; 0 for training on the CPU.
        faults: Why it cannot train, if it has found out that it cannot.
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
    """What node 0 tells the others before anything is staged.

    Attributes:
        mark: A file that it has left in the output folder.
        generation: Of the dataset, if it has any.
    """

    mark: str
    generation: int | None


def disagreements(nodes: Sequence[NodeFacts], nnodes: int) -> list[str]:
    """Why these nodes cannot train together, a sentence each; none if they can.

    Node 0 is what the others are compared with, or the lowest rank that came.
    """
    faults = _rank_faults(nodes, nnodes)
    troubled = [node for node in nodes if node.faults]
    if troubled:
        return faults + [f"{node.name}: {fault}" for node in troubled for fault in node.faults]
    for node in nodes:
        if node.software.gpus < node.promised_gpus:
            faults.append(
                f"{node.name} has {node.software.gpus} GPUs that PyTorch can use, "
                f"{node.promised_gpus} were promised: check CUDA_VISIBLE_DEVICES and nvidia-smi "
                "there, or say --nproc-per-node"
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
            faults.append(f"node {rank} ({hosts}) is none of {nnodes} nodes: check --node-rank")
        elif count > 1:
            faults.append(f"node {rank} came {count} times, from {hosts}: check --node-rank")
    missing = [rank for rank in range(nnodes) if rank not in counts]
    if missing:
        ranks = ", ".join(str(rank) for rank in missing)
        faults.append(
            f"node {ranks} of {nnodes} did not come in time: see what it printed itself, and "
            "whether it was started and reaches the master's port"
        )
    return faults


def _differences(first: NodeFacts, other: NodeFacts) -> list[str]:
    faults = []
    if other.dataset != first.dataset:
        faults.append(
            f"{other.name} has the dataset {other.dataset[:16]}, {first.name} has "
            f"{first.dataset[:16]}: give all nodes the same --dataset"
        )
    if other.recipe != first.recipe:
        faults.append(
            f"{other.name} has other settings than {first.name} ({other.recipe[:16]}, "
            f"{first.recipe[:16]}): give all nodes the same recipe and --set"
        )
    ours, theirs = first.software.versions, other.software.versions
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            faults.append(
                f"{other.name} has {name} {theirs.get(name, 'not at all')}, {first.name} has "
                f"{ours.get(name, 'it not at all')}: install the same on all nodes"
            )
    return faults
