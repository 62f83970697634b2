"""What ``--set KEY=VALUE`` changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mat_trainer.core import document

# What the launcher decides, and how it is told.
LAUNCHER = {
    "dataset_dir": "say --dataset URI",
    "media_dir": "say --dataset URI",
    "output_dir": "say --output-dir DIR",
    "overwrite_output_dir": "say --resume never to start anew",
    "resume_from_checkpoint": "say --resume auto to go on from the last checkpoint",
}


def parse(words: Sequence[str], faults: list[str]) -> dict[str, Any]:
    """The values by key, in the order given; None stands for a key to be removed.

    Args:
        words: ``KEY=VALUE`` each, with a value as YAML has it.
        faults: Takes a sentence for each that is none.

    >>> parse(["max_samples=null", "learning_rate=2e-5"], [])
    {'max_samples': None, 'learning_rate': 2e-05}
    """
    values: dict[str, Any] = {}
    for word in words:
        key, sign, text = word.partition("=")
        key = key.strip()
        if not sign or not key or not text.strip():
            shown = f"{key}=" if sign else key
            faults.append(f"--set {shown}: give KEY=VALUE, or KEY=null to leave the key out")
        elif key in values:
            faults.append(f"--set {key} is given twice; keep one of them")
        elif key in LAUNCHER:
            faults.append(f"--set {key}: the launcher decides this; {LAUNCHER[key]}")
        else:
            try:
                values[key] = document.scalar(text)
            except ValueError as error:
                faults.append(f"--set {key}: its value is not YAML ({error}); quote it: '\"…\"'")
    return values
