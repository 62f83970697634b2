"""Kubernetes: a PyTorchJob of Kubeflow's training operator, or a JobSet; one pod a node.

Both are given to the API as they are here, so that the text can be read, kept and changed.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

import mat_trainer
from mat_trainer.core.topology import DEFAULT_PORT
from mat_trainer.submit import document, mounts
from mat_trainer.submit import job as jobs
from mat_trainer.submit.job import Job
from mat_trainer.submit.mounts import Mount

PYTORCHJOB = "pytorchjob"
JOBSET = "jobset"
RECIPES = "/etc/mat-trainer"
CACHE = "/cache"
USER = 1000
"""The user of the image that trainer/Dockerfile makes."""
RESTARTS = 10
FINAL_CODES = [2, 4]
"""Of the launcher: a faulty configuration and a failed preflight stay so when tried again."""

Manifest = dict[str, Any]


class Kubernetes(msgspec.Struct, frozen=True):
    """What only Kubernetes wants to know.

    Attributes:
        image: With `mat-trainer` in it: trainer/Dockerfile makes one.
        kind: `PYTORCHJOB` or `JOBSET`.
        namespace: Empty for the one that kubectl is set to.
        mounts: PersistentVolumeClaims and where they go.
        secrets: Names of Secrets whose keys become environment variables, HF_TOKEN for example.
    """

    image: str
    kind: str = PYTORCHJOB
    namespace: str = ""
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[str, ...] = ()


def faults(job: Job, target: Kubernetes) -> list[str]:
    """What the cluster would stumble over, a sentence each."""
    found = mounts.faults(job, target.mounts)
    if not target.image:
        found.append("--image is missing: name one with mat-trainer in it, see trainer/Dockerfile")
    return found


def render(job: Job, target: Kubernetes) -> str:
    """The documents for `kubectl`: the recipe's ConfigMap if it is a user's file, then the job."""
    documents = [made for made in (config_map(job, target), manifest(job, target)) if made]
    head = f"# {jobs.title(job, mat_trainer.__version__)}\n"
    return f"{head}{document.dump(documents)}"


def config_map(job: Job, target: Kubernetes) -> Manifest | None:
    """The user's recipe; None for a preset. Named by its content: another recipe, another map."""
    if job.recipe_text is None:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(_config_name(job), target),
        "immutable": True,
        "data": {job.recipe: job.recipe_text},
    }


def manifest(job: Job, target: Kubernetes) -> Manifest:
    """The job itself."""
    return _jobset(job, target) if target.kind == JOBSET else _pytorchjob(job, target)


def _pytorchjob(job: Job, target: Kubernetes) -> Manifest:
    # Without nprocPerNode the operator's WORLD_SIZE counts pods, and RANK is the pod's: with one
    # pod a node they are NNODES and NODE_RANK. The operator itself sets MASTER_ADDR and
    # MASTER_PORT, the latter from the port of this name; it looks for a container `pytorch`.
    pod = _pod(job, target, "$(WORLD_SIZE)", "$(RANK)", "$(MASTER_ADDR)", "$(MASTER_PORT)")
    pod["containers"][0]["ports"] = [{"name": "pytorchjob-port", "containerPort": DEFAULT_PORT}]
    # Also a pod that was evicted is made again under this policy, and resumes.
    replica = {"restartPolicy": "OnFailure", "template": {"spec": pod}}
    replicas = {"Master": {"replicas": 1, **replica}}
    if job.nodes > 1:
        replicas["Worker"] = {"replicas": job.nodes - 1, **replica}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": _metadata(job.name, target),
        "spec": {
            "runPolicy": {"backoffLimit": RESTARTS, "cleanPodPolicy": "None"},
            "pytorchReplicaSpecs": replicas,
        },
    }


def _jobset(job: Job, target: Kubernetes) -> Manifest:
    # JobSet's headless service gives each pod the name JOBSET-REPLICATEDJOB-JOB-POD.JOBSET.
    master = f"{job.name}-node-0-0.{job.name}"
    rank = "$(JOB_COMPLETION_INDEX)"
    pod = _pod(job, target, str(job.nodes), rank, master, str(DEFAULT_PORT))
    pod["restartPolicy"] = "Never"
    final = {
        "action": "FailJob",
        "onExitCodes": {"containerName": "pytorch", "operator": "In", "values": FINAL_CODES},
    }
    nodes = {
        "parallelism": job.nodes,
        "completions": job.nodes,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [final]},
        "template": {"spec": pod},
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": _metadata(job.name, target),
        "spec": {
            # Ranks look each other up before any of them is ready.
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            # One pod that fails ends the training of all: all begin anew, and resume.
            "failurePolicy": {
                "maxRestarts": RESTARTS,
                "rules": [
                    {
                        "name": "final",
                        "action": "FailJobSet",
                        "onJobFailureReasons": ["PodFailurePolicy"],
                    }
                ],
            },
            "replicatedJobs": [{"name": "node", "replicas": 1, "template": {"spec": nodes}}],
        },
    }


def _pod(job: Job, target: Kubernetes, nnodes: str, rank: str, master: str, port: str) -> Manifest:
    command = [word for group in jobs.words(job, RECIPES) for word in group]
    volumes, places = _volumes(job, target)
    limits: dict[str, Any] = {"nvidia.com/gpu": job.gpus} if job.gpus else {}
    if job.cpus:
        limits["cpu"] = job.cpus
    if job.memory:
        limits["memory"] = f"{job.memory}Gi"
    container: Manifest = {
        "name": "pytorch",
        "image": target.image,
        "command": command[:1],
        # Kubernetes itself fills $(…) in, and reads $$ as the user's own $.
        "args": [word.replace("$", "$$") for word in command[1:]]
        + ["--nnodes", nnodes, "--node-rank", rank]
        + ["--master-addr", master, "--master-port", port],
        "env": [
            {"name": "MAT_TRAINER_CACHE", "value": f"{CACHE}/mat-trainer"},
            {"name": "HF_HOME", "value": f"{CACHE}/huggingface"},
        ],
        "resources": {"limits": limits},
        "volumeMounts": places,
        # Before a pod is ended it is asked for a checkpoint; it ends by itself when that is saved.
        "lifecycle": {
            "preStop": {
                "exec": {"command": ["sh", "-c", f"kill -USR1 1 && sleep {job.time_to_save}"]}
            }
        },
    }
    if target.secrets:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in target.secrets]
    return {
        "containers": [container],
        "volumes": volumes,
        "securityContext": {"fsGroup": USER},
        "automountServiceAccountToken": False,
        # What is left after saving is for the processes to end.
        "terminationGracePeriodSeconds": job.time_to_save + 30,
    }


def _volumes(job: Job, target: Kubernetes) -> tuple[list[Manifest], list[Manifest]]:
    # NCCL and the data loader's workers share memory through /dev/shm, of which a container has
    # 64 MiB by default.
    volumes: list[Manifest] = [
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
        {"name": "cache", "emptyDir": {}},
    ]
    places: list[Manifest] = [
        {"name": "shm", "mountPath": "/dev/shm"},
        {"name": "cache", "mountPath": CACHE},
    ]
    for number, mount in enumerate(target.mounts):
        name = f"mount-{number}"
        volumes.append({"name": name, "persistentVolumeClaim": {"claimName": mount.source}})
        places.append({"name": name, "mountPath": mount.path})
    if job.recipe_text is not None:
        volumes.append({"name": "recipe", "configMap": {"name": _config_name(job)}})
        places.append({"name": "recipe", "mountPath": RECIPES, "readOnly": True})
    return volumes, places


def _config_name(job: Job) -> str:
    content = f"{job.recipe}\n{job.recipe_text}".encode()
    return f"{job.name}-recipe-{hashlib.sha256(content).hexdigest()[:8]}"


def _metadata(name: str, target: Kubernetes) -> dict[str, str]:
    return {"name": name, **({"namespace": target.namespace} if target.namespace else {})}
