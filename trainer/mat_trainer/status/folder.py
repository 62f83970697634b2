"""Reads a run's output folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mat_trainer.core import checkpoint as checkpoints
from mat_trainer.core import pin as pins
from mat_trainer.core.errors import ConfigError
from mat_trainer.status import log as logs
from mat_trainer.status.log import Log

# LLaMA-Factory writes it after the last step, once the model is saved: sft/workflow.py.
RESULTS = "train_results.json"


class Folder(msgspec.Struct, frozen=True):
    """An output folder.

    Attributes:
        log: The trainer's log; None if there is none yet.
        last_word: When any log was last written, in seconds since the epoch; None if there is no
            log of the trainer or of a rank.
        checkpoint: Name of the newest checkpoint, or None.
        is_finished: Whether the model was saved after the last step.
        dataset: The dataset's address, with its generation; None if it is not known.
        is_alive: Whether its launcher lives; None if that is not known.
        end: How its launcher ended, in words; empty if it lives, or that is not known.
    """

    log: Log | None
    last_word: float | None
    checkpoint: str | None
    is_finished: bool
    dataset: str | None = None
    is_alive: bool | None = None
    end: str = ""


def read(path: Path) -> Folder:
    """Reads an output folder.

    Raises:
        ConfigError: It does not exist.
    """
    if not path.is_dir():
        raise ConfigError(f"{path}: there is no such folder; pass a run's --output-dir")
    file = path / logs.NAME
    log = None
    if file.is_file():
        # The last line may be incomplete, even within a character.
        log = logs.parse(file.read_text(encoding="utf-8", errors="replace").splitlines())
    written = [one.stat().st_mtime for one in (file, *path.glob("logs/*.log")) if one.is_file()]
    progress = log.entries[-1] if log and log.entries else None
    return Folder(
        log=log,
        last_word=max(written, default=None),
        checkpoint=_checkpoint(path),
        is_finished=(path / RESULTS).is_file()
        and progress is not None
        and progress.step >= progress.total,
        dataset=_dataset(path / pins.NAME),
    )


def _dataset(file: Path) -> str | None:
    pin = pins.parse(file.read_bytes()) if file.is_file() else None
    return pin.uri if pin else None


def _checkpoint(path: Path) -> str | None:
    # The Trainer writes the state last.
    folders = (state.parent.name for state in path.glob(f"checkpoint-*/{checkpoints.STATE}"))
    named = [name for name in folders if checkpoints.step(name) is not None]
    return max(named, key=lambda name: checkpoints.step(name) or 0, default=None)
