"""Kubernetes: Kubeflow's PyTorchJob or TrainJob, or a JobSet; one pod for each node."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from mat_trainer.core import document
from mat_trainer.core.command import DEFAULT_PORT
from mat_trainer.submit import job as jobs
from mat_trainer.submit import mounts, trainjob
from mat_trainer.submit.job import Job
from mat_trainer.submit.mounts import Mount

PYTORCHJOB = "pytorchjob"
JOBSET = "jobset"
TRAINJOB = "trainjob"
RUNTIME = "torch-distributed"
"""The ClusterTrainingRuntime that comes with Kubeflow Trainer 2."""
RECIPES = "/etc/mat-trainer"
CACHE = "/cache"
USER = 1000
"""The user id in the image that trainer/Dockerfile makes."""
RESTARTS = 10
FINAL_CODES = [2, 4]
"""Exit codes that a restart cannot cure: a configuration error and a failed preflight."""

Manifest = dict[str, Any]


class Kubernetes(msgspec.Struct, frozen=True):
    """Options for Kubernetes only.

    Attributes:
        image: An image with `mat-trainer`: trainer/Dockerfile makes one.
        kind: `PYTORCHJOB`, `JOBSET` or `TRAINJOB`.
        namespace: Empty for kubectl's current one.
        mounts: PersistentVolumeClaims and their paths.
        secrets: Names of Secrets whose keys become environment variables, or ``NAME/KEY`` for one
            of its keys, such as ``hub/HF_TOKEN``.
        labels: Of the job and its pods, such as a queue's.
        selectors: Labels that the nodes must have.
        tolerations: ``KEY[=VALUE][:EFFECT]`` each, of taints that the pods tolerate.
        runtime: Name of the ClusterTrainingRuntime of a TrainJob.
    """

    image: str = ""
    kind: str = PYTORCHJOB
    namespace: str = ""
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    selectors: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[str, ...] = ()
    runtime: str = RUNTIME


def faults(job: Job, target: Kubernetes) -> list[str]:
    """The faults of a job for Kubernetes, one sentence each."""
    found = mounts.faults(job, target.mounts)
    found += [
        f"--mount {mount.source}={mount.path}: the job has a volume of its own there; choose "
        "another path"
        for mount in target.mounts
        if mount.path in ("/dev/shm", CACHE, RECIPES)
    ]
    for option, pairs in (("--label", target.labels), ("--node-selector", target.selectors)):
        found += [
            f"{option} {key}={value}: must be KEY=VALUE as Kubernetes takes labels, such as "
            "kueue.x-k8s.io/queue-name=team"
            for key, value in pairs
            if not (_KEY.fullmatch(key) and _VALUE.fullmatch(value))
        ]
    found += [
        f"--toleration {text}: must be KEY, KEY=VALUE, KEY:EFFECT or KEY=VALUE:EFFECT with one of "
        f"{', '.join(_EFFECTS)}"
        for text in target.tolerations
        if toleration(text) is None
    ]
    found += [
        f"--secret {secret}: a TrainJob takes single keys; pass SECRET/KEY, such as hub/HF_TOKEN"
        for secret in target.secrets
        if target.kind == TRAINJOB and "/" not in secret
    ]
    if not target.image:
        found.append("--image is missing: pass an image with mat-trainer, see trainer/Dockerfile")
    return found


_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}")
_VALUE = re.compile(rf"({_NAME})?")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def toleration(text: str) -> Manifest | None:
    """What Kubernetes calls a toleration; None if the text is none.

    >>> toleration("nvidia.com/gpu:NoSchedule")
    {'key': 'nvidia.com/gpu', 'operator': 'Exists', 'effect': 'NoSchedule'}
    >>> toleration("team=vision")
    {'key': 'team', 'operator': 'Equal', 'value': 'vision'}
    """
    taint, colon, effect = text.partition(":")
    key, sign, value = taint.partition("=")
    if not (_KEY.fullmatch(key) and _VALUE.fullmatch(value)) or (colon and effect not in _EFFECTS):
        return None
    found: Manifest = {"key": key, "operator": "Equal" if sign else "Exists"}
    if sign:
        found["value"] = value
    if effect:
        found["effect"] = effect
    return found


def render(job: Job, target: Kubernetes) -> str:
    """The documents for `kubectl`: the ConfigMap of a user's recipe, if there is one; the job."""
    documents = [made for made in (config_map(job, target), manifest(job, target)) if made]
    head = f"# {jobs.title(job)}\n"
    return f"{head}{document.dump(documents)}"


def config_map(job: Job, target: Kubernetes) -> Manifest | None:
    """A ConfigMap with the user's recipe; None for a preset. Its name has a hash of the recipe."""
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
    return {JOBSET: _jobset, TRAINJOB: _trainjob, PYTORCHJOB: _pytorchjob}[target.kind](job, target)


def _trainjob(job: Job, target: Kubernetes) -> Manifest:
    pod = _pod(job, target, trainjob.NODES, trainjob.RANK, trainjob.MASTER, trainjob.PORT)
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": _metadata(job.name, target),
        "spec": trainjob.spec(pod, job.nodes, job.processes, target.runtime),
    }


def _pytorchjob(job: Job, target: Kubernetes) -> Manifest:
    # Without nprocPerNode the operator's WORLD_SIZE counts pods, and RANK is the pod's: with one
    # pod for each node they are NNODES and NODE_RANK. The operator sets MASTER_ADDR and
    # MASTER_PORT, the latter from the port of this name, in the container `pytorch`.
    pod = _pod(job, target, "$(WORLD_SIZE)", "$(RANK)", "$(MASTER_ADDR)", "$(MASTER_PORT)")
    pod["containers"][0]["ports"] = [{"name": "pytorchjob-port", "containerPort": DEFAULT_PORT}]
    # This policy also replaces an evicted pod, which resumes.
    replica = {"restartPolicy": "OnFailure", "template": _template(pod, target)}
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
        "template": _template(pod, target),
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": _metadata(job.name, target),
        "spec": {
            # Ranks look each other up before any of them is ready.
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            # A pod that fails ends training on all; all restart, and resume.
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
        # Kubernetes replaces $(…), and reads $$ as $.
        "args": [word.replace("$", "$$") for word in command[1:]]
        + ["--nnodes", nnodes, "--node-rank", rank]
        + ["--master-addr", master, "--master-port", port],
        "env": [
            {"name": "MAT_TRAINER_CACHE", "value": f"{CACHE}/mat-trainer"},
            {"name": "HF_HOME", "value": f"{CACHE}/huggingface"},
            # Kubernetes replaces $(…), and reads $$ as $.
            *({"name": name, "value": value.replace("$", "$$")} for name, value in job.environment),
        ],
        "resources": {"limits": limits},
        "volumeMounts": places,
        # Before Kubernetes ends a pod, it requests a checkpoint; the pod ends once that is saved.
        "lifecycle": {
            "preStop": {
                "exec": {"command": ["sh", "-c", f"kill -USR1 1 && sleep {job.time_to_save}"]}
            }
        },
    }
    whole = [name for name in target.secrets if "/" not in name]
    if whole:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in whole]
    for secret in target.secrets:
        name, slash, key = secret.partition("/")
        if slash:
            reference = {"secretKeyRef": {"name": name, "key": key}}
            container["env"].append({"name": key, "valueFrom": reference})
    pod: Manifest = {
        "containers": [container],
        "volumes": volumes,
        "securityContext": {"fsGroup": USER},
        "automountServiceAccountToken": False,
        # The time after saving is for the processes to end.
        "terminationGracePeriodSeconds": job.time_to_save + 30,
    }
    if target.selectors:
        pod["nodeSelector"] = dict(target.selectors)
    if target.tolerations:
        pod["tolerations"] = [toleration(text) for text in target.tolerations]
    return pod


def _volumes(job: Job, target: Kubernetes) -> tuple[list[Manifest], list[Manifest]]:
    # NCCL and the data loader's workers share memory through /dev/shm, which has 64 MiB by default.
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


def _template(pod: Manifest, target: Kubernetes) -> Manifest:
    return {**({"metadata": {"labels": dict(target.labels)}} if target.labels else {}), "spec": pod}


def _metadata(name: str, target: Kubernetes) -> Manifest:
    metadata: Manifest = {"name": name}
    if target.namespace:
        metadata["namespace"] = target.namespace
    if target.labels:
        metadata["labels"] = dict(target.labels)
    return metadata
