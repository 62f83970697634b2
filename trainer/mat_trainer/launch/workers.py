"""Runs the short programs of `mat_trainer.worker`, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from mat_trainer.core.errors import PreflightError
from mat_trainer.core.node import SettingsVerdict, Software

_SECONDS = 600.0  # PyTorch's first import from a network file system takes minutes


def software(python: str = sys.executable) -> Software:
    """Versions and GPUs that `python` finds.

    Raises:
        PreflightError: PyTorch or LLaMA-Factory is missing there, or cannot be imported.
    """
    try:
        return msgspec.json.decode(_ask("facts", python=python).splitlines()[-1], type=Software)
    except PreflightError as error:
        cure = f"install what training needs for {python}: pip install 'mat-trainer[worker]'"
        raise PreflightError(f"{error}; {cure}") from None


def make_tiny_model(folder: Path) -> None:
    """Makes the tiny random model in `folder`, unless it exists.

    Raises:
        PreflightError: The model could not be made.
    """
    if not folder.exists():
        _ask("tiny_model", str(folder))


def verdict(yaml: str, *, has_model: bool = True) -> SettingsVerdict:
    """What LLaMA-Factory's own code on this machine says of settings, before a model is loaded.

    Args:
        yaml: The settings for training.
        has_model: Whether the model's configuration can be read.

    Raises:
        PreflightError: Its code could not be run.
    """
    with tempfile.TemporaryDirectory(prefix="mat-trainer-") as folder:
        file = Path(folder, "train.yaml")
        file.write_text(yaml, encoding="utf-8")
        more = [] if has_model else ["--without-model"]
        answer = _ask("parse", str(file), *more).splitlines()[-1]
    return msgspec.json.decode(answer, type=SettingsVerdict)


def _ask(program: str, *words: str, python: str = sys.executable) -> str:
    command = [python, "-m", f"mat_trainer.worker.{program}", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PreflightError(f"{' '.join(command)}: {error}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise PreflightError(f"{' '.join(command)} ended with {done.returncode}: {last}")
    return done.stdout
