"""Passes job files to the clusters' own command-line programs.

Each function returns the text for the user.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mat_trainer.core import document
from mat_trainer.core.errors import MatTrainerError
from mat_trainer.submit import kubernetes, slurm
from mat_trainer.submit.job import Job
from mat_trainer.submit.skypilot import SkyPilot


def to_slurm(job: Job, text: str) -> str:
    """Writes the job file and the recipe below the output folder, and submits.

    Raises:
        MatTrainerError: The folder cannot be written, or sbatch is missing or fails.
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
            f"{folder} cannot be written: {error.strerror}; choose an --output-dir that this "
            "machine and the nodes share"
        ) from None
    # sbatch prints the number, with ;CLUSTER after it if there are several clusters.
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
        MatTrainerError: kubectl is missing or fails.
    """
    config_map = kubernetes.config_map(job, target)
    if config_map:
        # Its name has a hash of the content, so that an existing one is the same.
        _call(["kubectl", "apply", "-f", "-"], document.dump([config_map]))
    # Not `apply`, which would change a running job of this name, and restart none that has ended.
    manifest = document.dump([kubernetes.manifest(job, target)])
    made = _call(["kubectl", "create", "-f", "-"], manifest)
    where = f" --namespace {target.namespace}" if target.namespace else ""
    label = {
        kubernetes.PYTORCHJOB: f"training.kubeflow.org/job-name={job.name},"
        "training.kubeflow.org/replica-index=0,training.kubeflow.org/job-role=master",
        kubernetes.JOBSET: f"jobset.sigs.k8s.io/jobset-name={job.name},"
        "batch.kubernetes.io/job-completion-index=0",
        # Kubeflow Trainer makes a JobSet of the same name.
        kubernetes.TRAINJOB: f"jobset.sigs.k8s.io/jobset-name={job.name},"
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
        MatTrainerError: sky is missing or fails.
    """
    # The command line has only the names of the variables: sky reads the values itself.
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
            f"{words[0]}: no such program on this machine; install it, or save the output of "
            "--dry-run and submit it from a machine that has it"
        ) from None
    if done.returncode != 0:
        raise MatTrainerError(
            f"{' '.join(words[:2])} failed (exit code {done.returncode}), nothing was submitted: "
            f"{done.stderr.strip() or done.stdout.strip()}"
        )
    sys.stderr.write(done.stderr)
    return done.stdout
