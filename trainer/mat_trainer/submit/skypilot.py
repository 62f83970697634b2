"""SkyPilot: a task file for a managed job, which moves to another machine after a preemption."""

from __future__ import annotations

import re
import shlex
from typing import Any

import msgspec

from mat_trainer.core import document
from mat_trainer.core.command import DEFAULT_PORT
from mat_trainer.core.control import EXIT_SAVED
from mat_trainer.submit import job as jobs
from mat_trainer.submit import mounts
from mat_trainer.submit.job import Job
from mat_trainer.submit.mounts import Mount

RECIPES = "/tmp/mat-trainer"


class SkyPilot(msgspec.Struct, frozen=True):
    """Options for SkyPilot only.

    Attributes:
        accelerator: Name of the GPU, such as H100; not needed without GPUs.
        infra: Cloud, region or Kubernetes context, such as gcp/us-central1; empty for any.
        image: Docker image with `mat-trainer`, whose user must be root or have sudo for SkyPilot;
            empty for SkyPilot's own and `setup`.
        recipe_path: The user's recipe on this machine; None for a preset.
        mounts: Buckets and their paths.
        secrets: Names of environment variables that the job gets as secrets.
        setup: Lines of shell that make `mat-trainer` available.
        spot: Whether to use machines that may be taken away, for less money.
    """

    accelerator: str = ""
    infra: str = ""
    image: str = ""
    recipe_path: str | None = None
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    spot: bool = False


def faults(job: Job, target: SkyPilot) -> list[str]:
    """The faults of a job for SkyPilot, one sentence each."""
    found = mounts.faults(job, target.mounts)
    found += [
        f"--mount {mount.source}={mount.path}: the source must be a bucket's URI, such as gs://bucket"
        for mount in target.mounts
        if "://" not in mount.source
    ]
    found += [
        f"--mount {mount.source}={mount.path}: the job's recipe is there; choose another path"
        for mount in target.mounts
        if mount.path == RECIPES
    ]
    if job.gpus and not target.accelerator:
        found.append("--accelerator is missing: pass the GPU, such as H100, or --gpus-per-node 0")
    if not (target.image or target.setup):
        found.append(
            "--setup is missing: SkyPilot's machines have no mat-trainer; pass the lines that "
            "install it, or an --image that has it"
        )
    if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in target.secrets):
        # The text is not repeated: it may be the secret.
        found.append("--secret: must be the name of an environment variable, such as HF_TOKEN")
    return found


def render(job: Job, target: SkyPilot) -> str:
    """The task file."""
    resources: dict[str, Any] = {
        "infra": target.infra or None,
        "accelerators": f"{target.accelerator}:{job.gpus}" if job.gpus else None,
        "cpus": f"{job.cpus}+" if job.cpus else None,
        "memory": f"{job.memory}+" if job.memory else None,
        "use_spot": True if target.spot else None,
        "image_id": f"docker:{target.image}" if target.image else None,
        "job_recovery": {
            "max_restarts_on_errors": 0,
            # A checkpoint was saved on request, and training is not finished.
            "recover_on_exit_codes": [EXIT_SAVED],
        },
    }
    files: dict[str, Any] = {
        mount.path: {"source": mount.source, "mode": _mode(job, mount)} for mount in target.mounts
    }
    if target.recipe_path is not None:
        files[f"{RECIPES}/{job.recipe}"] = target.recipe_path
    task: dict[str, Any] = {
        "name": job.name,
        "num_nodes": job.nodes,
        "resources": {key: value for key, value in resources.items() if value is not None},
        "file_mounts": files,
        "envs": dict(job.environment),
        # Their values come from the environment of `sky`, through --secret.
        "secrets": dict.fromkeys(target.secrets),
        "setup": "".join(f"{line}\n" for line in target.setup),
        "run": _run(job),
    }
    head = f"# {jobs.title(job)}\n"
    body = {key: value for key, value in task.items() if value}
    return f"{head}{document.dump([body])}"


def _mode(job: Job, mount: Mount) -> str:
    # Logs are appended to, which a mounted S3 bucket refuses. Files that are written to the cache
    # of MOUNT_CACHED reach the bucket when they are closed.
    is_output = mounts.is_below(job.output_dir, mount.path)
    return "MOUNT_CACHED" if is_output and not mount.source.startswith("gs://") else "MOUNT"


def _run(job: Job) -> str:
    command = [
        *(shlex.join(group) for group in jobs.words(job, RECIPES)),
        '--nnodes "$SKYPILOT_NUM_NODES"',
        '--node-rank "$SKYPILOT_NODE_RANK"',
        '--master-addr "$(echo "$SKYPILOT_NODE_IPS" | head -n 1)"',
        f"--master-port {DEFAULT_PORT}",
    ]
    return " \\\n  ".join(command) + "\n"
