"""Saves a checkpoint after a step and ends training when the launcher requests it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback

from mat_trainer.core.control import CONTROL_DIR, SAVE_AND_STOP, STOPPED


class Stopped(Exception):
    """The checkpoint is saved; the unfinished model must not be saved as a finished one."""


class SaveOnRequest(TrainerCallback):
    """Looks for the request after each step.

    A request reaches one node's launcher or several, at different times. The ranks must stop after
    the same step, or some would wait for the others until a timeout. So they agree after each step,
    by an all-reduce of one number.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stopping = False

    @classmethod
    def callbacks(cls) -> list[TrainerCallback]:
        """One if there is a launcher, else none."""
        folder = os.environ.get(CONTROL_DIR)
        return [cls(Path(folder))] if folder else []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Makes the trainer save and stop, unless this was the last step."""
        if state.global_step < state.max_steps and self._asked_anywhere(args.device):
            self._stopping = True
            control.should_save = True
            control.should_evaluate = False  # there may be just enough time to save
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Ends training after a request.

        Raises:
            Stopped: The checkpoint was saved on request.
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
