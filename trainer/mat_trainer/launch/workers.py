"""Asks programs of `mat_trainer.worker`: short ones, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from mat_trainer.core.errors import PreflightError

_SECONDS = 600.0  # PyTorch's first import from a network file system takes minutes


def make_tiny_model(folder: Path) -> None:
    """Makes the tiny random model in `folder`, if it is not there yet.

    Raises:
        PreflightError: It could not be made.
    """
    if not folder.exists():
        _ask("tiny_model", str(folder))


def parser_fault(yaml: str) -> str | None:
    """What LLaMA-Factory's own parser has against settings on this machine; None for nothing.

    Args:
        yaml: The settings as they would be trained with.

    Raises:
        PreflightError: It cannot be asked.
    """
    with tempfile.TemporaryDirectory(prefix="mat-trainer-") as folder:
        file = Path(folder, "train.yaml")
        file.write_text(yaml, encoding="utf-8")
        verdict = json.loads(_ask("parse", str(file)).splitlines()[-1])
    return None if verdict is None else str(verdict)


def _ask(program: str, *words: str) -> str:
    command = [sys.executable, "-m", f"mat_trainer.worker.{program}", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PreflightError([f"{' '.join(command)}: {error}"]) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise PreflightError([f"{' '.join(command)} ended with {done.returncode}: {last}"])
    return done.stdout
