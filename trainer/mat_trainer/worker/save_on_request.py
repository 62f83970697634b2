"""Saves a checkpoint between two steps and ends the training, when the launcher asks for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback

from mat_trainer.core.control import CONTROL_DIR, SAVE_AND_STOP, STOPPED


class Stopped(Exception):
    """The checkpoint is saved; a model that is not finished is not to be saved as one that is."""


class SaveOnRequest(TrainerCallback):
    """Looks for the request after each step.

    A request reaches one node's launcher or several, at different times; the ranks must stop after
    the same step, or those that go on wait for the others until they time out. So they agree: an
    all-reduce of one number a step.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stopping = False

    @classmethod
    def callbacks(cls) -> list[TrainerCallback]:
        """One if there is a launcher that could ask, else none."""
        folder = os.environ.get(CONTROL_DIR)
        return [cls(Path(folder))] if folder else []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Asks the trainer to save and stop, unless this was the last step anyway."""
        if state.global_step < state.max_steps and self._asked_anywhere(args.device):
            self._stopping = True
            control.should_save = True
            control.should_evaluate = False  # there may be just enough time to save
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Ends the training here.

        Raises:
            Stopped: If it was asked for.
        """
        if self._stopping:
            if _several():
                dist.barrier()  # no node ends before the checkpoint is whole
            self._folder.joinpath(STOPPED).write_text(f"{state.global_step}\n")
            raise Stopped(f"Stopped after step {state.global_step}: its checkpoint is saved.")

    def _asked_anywhere(self, device: torch.device) -> bool:
        asked = self._folder.joinpath(SAVE_AND_STOP).exists()
        if not _several():
            return asked
        flag = torch.tensor([int(asked)], device=device)
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag.item())


def _several() -> bool:
    return bool(dist.is_initialized() and dist.get_world_size() > 1)
