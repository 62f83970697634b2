"""What a run left in its output folder. Only reads."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from mat_trainer.core import pin as pins
from mat_trainer.core.errors import ConfigError
from mat_trainer.status import log as logs
from mat_trainer.status.log import Log

# LLaMA-Factory writes it when the last step is done and the model saved: sft/workflow.py.
RESULTS = "train_results.json"


class Folder(msgspec.Struct, frozen=True):
    """An output folder.

    Attributes:
        log: Of the trainer; None before there is one.
        last_word: When a log in it was last written, in seconds since the epoch; None if there is
            none, the rank logs included.
        checkpoint: Name of the newest checkpoint, or None.
        is_finished: Whether the model was saved after the last step.
        dataset: What it trains on, with its generation; None where that is not known.
    """

    log: Log | None
    last_word: float | None
    checkpoint: str | None
    is_finished: bool
    dataset: str | None = None


def read(path: Path) -> Folder:
    """Reads an output folder.

    Raises:
        ConfigError: There is none.
    """
    if not path.is_dir():
        raise ConfigError([f"{path}: there is no such folder; name a run's --output-dir"])
    file = path / logs.NAME
    log = None
    if file.is_file():
        # The last line may be half written, within a character even.
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
    # The state is what the Trainer writes last of all.
    steps = [
        int(found[1])
        for child in path.glob("checkpoint-*")
        if (found := re.fullmatch(r"checkpoint-(\d+)", child.name))
        and (child / "trainer_state.json").is_file()
    ]
    return f"checkpoint-{max(steps)}" if steps else None
