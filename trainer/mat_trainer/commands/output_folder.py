"""Whether a run can be written to its output folder and resumed from what is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mat_trainer.core import steps
from mat_trainer.core.plan import Plan
from mat_trainer.launch import checkpoints


def output_faults(folder: Path) -> list[str]:
    """Why an output folder, which need not exist yet, could not be written to."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return [f"--output-dir {folder}: {place} is not a folder; choose another path"]
    if not os.access(place, os.W_OK | os.X_OK):
        return [f"--output-dir {folder}: no permission to write to {place}; choose another path"]
    return []


def step_faults(plan: Plan, processes: int, last: Path | None) -> list[str]:
    """Why nothing would be left to train after a checkpoint, of so many processes on all nodes."""
    total = steps.total(plan.settings, plan.used, processes)
    reached = checkpoints.step_of(last) if last else 0
    if total is None or reached <= total:
        return []
    return [
        f"--output-dir {plan.output_dir}: {last} is at step {reached:,}, and these settings end at "
        f"step {total:,}, so that nothing is left to train: raise max_steps or num_train_epochs, "
        "choose another --output-dir, or use --resume never to train anew"
    ]


def resume_faults(folder: Path, settings: Mapping[str, Any], resume: str) -> list[str]:
    """Why the checkpoint that a recipe names cannot be resumed from."""
    named = settings.get("resume_from_checkpoint")
    if not named or resume == checkpoints.NEVER or checkpoints.exist(folder):
        return []  # the last checkpoint in the folder is used instead
    place = Path(str(named))
    why = checkpoints.fault(place) if place.is_dir() else "is no folder"
    return [f"resume_from_checkpoint {named}: {why}; correct it or remove it"] if why else []


def rotation_faults(folder: Path, settings: Mapping[str, Any]) -> list[str]:
    """Folders that are no checkpoints and that `save_total_limit` would delete."""
    if not settings.get("save_total_limit"):
        return []
    return [
        f"--output-dir {folder}: save_total_limit deletes every folder whose name begins "
        f"with checkpoint-, also {name}; rename it, such as to kept-{name}"
        for name in checkpoints.rotated(folder)
    ]
