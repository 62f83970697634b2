"""A TrainJob of Kubeflow Trainer 2, which completes the pods of a training runtime.

The runtime decides about restarts, and nothing requests a checkpoint before a pod is ended: a
TrainJob has no field for either. The same job, made again, resumes from the last checkpoint.
"""

from __future__ import annotations

from typing import Any

NODES, RANK = "$(PET_NNODES)", "$(PET_NODE_RANK)"
MASTER, PORT = "$(PET_MASTER_ADDR)", "$(PET_MASTER_PORT)"
"""Variables that the runtime's torch policy sets. torchrun's options are stronger than them."""

_NODE = "node"
"""The name that Kubeflow's runtimes give to the job that trains, and to its container."""
_TAKEN = ("nodeSelector", "tolerations", "volumes")

Manifest = dict[str, Any]


def spec(pod: Manifest, nodes: int, processes: int, runtime: str) -> Manifest:
    """The specification of a TrainJob that trains in pods like this one.

    Args:
        pod: With one container.
        nodes: How many nodes.
        processes: Training processes of each node, which `mat-trainer` starts itself.
        runtime: Name of a ClusterTrainingRuntime with a torch policy.
    """
    (container,) = pod["containers"]
    trainer = {key: container[key] for key in ("image", "command", "args", "env")}
    trainer |= {
        "numNodes": nodes,
        "numProcPerNode": processes,
        "resourcesPerNode": container["resources"],
    }
    overrides = {key: pod[key] for key in _TAKEN if key in pod}
    overrides["containers"] = [{"name": _NODE, "volumeMounts": container["volumeMounts"]}]
    return {
        "runtimeRef": {"name": runtime},
        "trainer": trainer,
        "podTemplateOverrides": [{"targetJobs": [{"name": _NODE}], "spec": overrides}],
    }
