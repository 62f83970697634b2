"""How many steps a run has, as transformers counts them (`Trainer.set_initial_training_values`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_BATCH = 8  # the default of per_device_train_batch_size
_EPOCHS = 3.0
_SAVE_STEPS = 500


def total(settings: Mapping[str, Any], rows: int, processes: int) -> int | None:
    """Steps of the whole run; None if rows are packed or streamed, so that nobody knows before.

    Args:
        settings: LLaMA-Factory's.
        rows: Rows to train on.
        processes: On all nodes.

    >>> total({"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8}, 1000, 1)
    375
    """
    most = settings.get("max_steps") or -1
    if most > 0:
        return int(most)
    if any(settings.get(key) for key in ("packing", "neat_packing", "streaming")):
        return None
    batch = int(settings.get("per_device_train_batch_size") or _BATCH) * max(processes, 1)
    batches = rows // batch if settings.get("dataloader_drop_last") else math.ceil(rows / batch)
    each = max(math.ceil(batches / int(settings.get("gradient_accumulation_steps") or 1)), 1)
    epochs = settings.get("num_train_epochs")
    return math.ceil((_EPOCHS if epochs is None else epochs) * each)


def unsaved(settings: Mapping[str, Any], steps: int) -> str | None:
    """Why a run of so many steps saves no checkpoint before its end; None if it saves some.

    >>> unsaved({"save_steps": 500}, 375)[:53]
    'save_steps: 500 never comes in 375 steps, so that no '
    """
    strategy = settings.get("save_strategy", "steps")
    every = settings.get("save_steps", _SAVE_STEPS) or 0
    if strategy == "steps":
        first = math.ceil(every * steps) if 0 < every < 1 else every  # a share of all steps
        if 0 < first < steps:
            return None
        cause = f"save_steps: {every} never comes in {steps:,} steps"
    elif strategy == "no":
        cause = "save_strategy: no saves only the final model"
    else:
        return None
    better = max(steps // 5, 1)
    return (
        f"{cause}, so that no checkpoint is there to resume from: to lose at most a fifth, use "
        f"--set save_steps={better}"
    )


def words(settings: Mapping[str, Any], rows: int, processes: int | None) -> str:
    """The number of steps, and whether a checkpoint is saved before their end.

    Args:
        settings: LLaMA-Factory's.
        rows: Rows to train on.
        processes: On all nodes; None if that is not known here.
    """
    steps = total(settings, rows, processes or 1)
    if steps is None:
        return "not known before training, since rows are packed or streamed"
    said = f"{steps:,}"
    if processes is None and not (settings.get("max_steps") or -1) > 0:
        said += " with one GPU, and as many times fewer with more"
    if why := unsaved(settings, steps):
        said += f"; {why}"
    return said
