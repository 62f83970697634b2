"""Hands job files to the clusters' own command-line programs.

Each function returns what to tell the user.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mat_trainer.core.errors import MatTrainerError
from mat_trainer.submit import document, kubernetes, slurm
from mat_trainer.submit.job import Job
from mat_trainer.submit.skypilot import SkyPilot


def to_slurm(job: Job, text: str) -> str:
    """Puts the job file and the recipe below the output folder, and submits.

    Raises:
        MatTrainerError: The folder cannot be written, or sbatch is not here or refuses.
    """
    folder = Path(job.output_dir, slurm.FOLDER)
    file = folder / "job.sbatch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if job.recipe_text is not None:
            (folder / job.recipe).write_text(job.recipe_text, encoding="utf-8")
    except OSError as error:
        raise MatTrainerError(
            f"{folder} cannot be written: {error.strerror}; Slurm's job needs an --output-dir that "
            "this machine and the nodes share"
        ) from None
    # The answer is the number, with ;CLUSTER after it where there are several.
    number = _call(["sbatch", "--parsable", str(file)]).strip().partition(";")[0]
    return (
        f"submitted as job {number}\n"
        f"  tail -F {folder}/slurm-{number}.log\n"
        f"  mat-trainer status {job.output_dir}\n"
        f"  squeue --job {number}; scancel {number}\n"
    )


def to_kubernetes(job: Job, target: kubernetes.Kubernetes) -> str:
    """Makes the recipe's ConfigMap, then the job.

    Raises:
        MatTrainerError: kubectl is not here, or refuses.
    """
    config_map = kubernetes.config_map(job, target)
    if config_map:
        # Named by its content, so that one which is there already is the same.
        _call(["kubectl", "apply", "-f", "-"], document.dump([config_map]))
    # Not `apply`, which changes a job of this name that runs, and starts none that has ended.
    manifest = document.dump([kubernetes.manifest(job, target)])
    made = _call(["kubectl", "create", "-f", "-"], manifest)
    where = f" --namespace {target.namespace}" if target.namespace else ""
    label = {
        kubernetes.PYTORCHJOB: f"training.kubeflow.org/job-name={job.name},"
        "training.kubeflow.org/replica-index=0,training.kubeflow.org/job-role=master",
        kubernetes.JOBSET: f"jobset.sigs.k8s.io/jobset-name={job.name},"
        "batch.kubernetes.io/job-completion-index=0",
    }[target.kind]
    return (
        f"{made.strip()}\n"
        f"  kubectl logs{where} --follow --selector {label}\n"
        f"  kubectl delete{where} {target.kind} {job.name}\n"
    )


def to_skypilot(job: Job, target: SkyPilot, text: str) -> str:
    """Launches a managed job.

    Raises:
        MatTrainerError: sky is not here, or refuses.
    """
    # Only the variables' names are on the command line: sky takes the values from its environment.
    secrets = [word for name in target.secrets for word in ("--secret", name)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{job.name}.yaml")
        file.write_text(text, encoding="utf-8")
        said = _call(["sky", "jobs", "launch", "--yes", "--detach-run", *secrets, str(file)])
    return (
        f"{said.strip()}\n  sky jobs logs --name {job.name}\n  sky jobs cancel --name {job.name}\n"
    )


def _call(words: Sequence[str], text: str | None = None) -> str:
    try:
        done = subprocess.run(list(words), input=text, text=True, capture_output=True, check=False)
    except FileNotFoundError:
        raise MatTrainerError(
            f"{words[0]}: no such program on this machine; submit from one that has it, or take "
            "the file of --dry-run there"
        ) from None
    if done.returncode != 0:
        raise MatTrainerError(
            f"{' '.join(words[:2])} ended with exit code {done.returncode}, nothing was submitted: "
            f"{done.stderr.strip() or done.stdout.strip()}"
        )
    sys.stderr.write(done.stderr)
    return done.stdout
