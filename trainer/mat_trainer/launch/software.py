"""What is installed where training runs, asked of a process that may import it."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from mat_trainer.core.errors import PreflightError
from mat_trainer.core.node import Software

_MODULE = "mat_trainer.worker.facts"
_SECONDS = 300.0  # PyTorch's first import from a network file system takes minutes


def software(python: str = sys.executable) -> Software:
    """Versions and GPUs as `python` finds them.

    Raises:
        PreflightError: PyTorch or LLaMA-Factory is missing there, or cannot be imported.
    """
    try:
        done = subprocess.run(
            [python, "-m", _MODULE], capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PreflightError([f"{python} -m {_MODULE}: {error}"]) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise PreflightError(
            [f"{python} cannot train: {last}; install there: pip install 'mat-trainer[worker]'"]
        )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Software)
