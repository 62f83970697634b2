"""Whether a checkpoint fits on the disk of the output folder, and what could be deleted there."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mat_trainer.launch import checkpoints

LEAST_BYTES = 20_000_000
"""Room for logs, plots and the small files of a run."""
FULL = (errno.ENOSPC, errno.EDQUOT)

_TRAINS_ALL = ("full", "freeze")


def fault(output_dir: Path, settings: Mapping[str, Any], resume: str) -> str | None:
    """Why the next checkpoint would not fit; None if it would, as far as can be known.

    A checkpoint needs as much as the last one in the folder. Before the first one, a model whose
    weights are all trained needs its weights twice at least: for itself and for the optimizer.
    """
    last = None if resume == checkpoints.NEVER else checkpoints.newest(output_dir)
    least = "" if last else "at least "
    needed = LEAST_BYTES + (size(last) if last else _weights(settings))
    free = shutil.disk_usage(_existing(output_dir)).free
    if free >= needed:
        return None
    return (
        f"--output-dir {output_dir}: the next checkpoint needs {least}{needed / 1e9:,.2f} GB, and "
        f"{free / 1e9:,.2f} GB are free on its disk: {cure(output_dir)}"
    )


def cure(output_dir: Path) -> str:
    """What to do about a full disk."""
    unused = [
        f"{folder} ({size(folder) / 1e9:,.2f} GB)" for folder in checkpoints.aside(output_dir)
    ]
    if not unused:
        return "free some, or choose an --output-dir on a larger disk"
    return (
        f"delete what is never loaded again: {', '.join(unused)}; or choose an --output-dir on a "
        "larger disk"
    )


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _weights(settings: Mapping[str, Any]) -> int:
    folder = Path(str(settings.get("model_name_or_path") or ""))
    saves = settings.get("save_strategy", "steps") != "no"
    if not saves or settings.get("finetuning_type") not in _TRAINS_ALL or not folder.is_dir():
        return 0
    found = [path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin")]
    times = 1 if settings.get("save_only_model") else 2
    return times * sum(path.stat().st_size for path in found)


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
