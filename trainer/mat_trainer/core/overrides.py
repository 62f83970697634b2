"""The settings that ``--set KEY=VALUE`` changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mat_trainer.core import document

# Keys that the launcher sets, and the option to use instead.
LAUNCHER = {
    "dataset_dir": "use --dataset URI",
    "media_dir": "use --dataset URI",
    "output_dir": "use --output-dir DIR",
    "overwrite_output_dir": "use --resume never to start anew",
    "resume_from_checkpoint": "use --resume auto to resume from the last checkpoint",
}


def parse(words: Sequence[str], faults: list[str]) -> dict[str, Any]:
    """The values by key, in their order; None for a key to remove.

    Args:
        words: ``KEY=VALUE`` each; the value is YAML.
        faults: Takes a sentence for each invalid one.

    >>> parse(["max_samples=null", "learning_rate=2e-5"], [])
    {'max_samples': None, 'learning_rate': 2e-05}
    """
    values: dict[str, Any] = {}
    for word in words:
        key, sign, text = word.partition("=")
        key = key.strip()
        if not sign or not key or not text.strip():
            shown = f"{key}=" if sign else key
            faults.append(f"--set {shown}: must be KEY=VALUE, or KEY=null to remove the key")
        elif key in values:
            faults.append(f"--set {key} is given twice; remove one of the two")
        elif key in LAUNCHER:
            faults.append(f"--set {key}: mat-trainer sets this key; {LAUNCHER[key]}")
        else:
            try:
                values[key] = document.scalar(text)
            except ValueError as error:
                faults.append(
                    f"--set {key}: the value is not valid YAML ({error}); quote it: '\"…\"'"
                )
    return values
