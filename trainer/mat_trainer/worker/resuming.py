"""Corrects four faults of transformers 4.57 and accelerate 1.11 when training resumes.

Without this module, several ranks on a CPU fail, a fully tuned Qwen2-VL silently resumes from the
untrained model, an interrupted epoch repeats some rows and leaves out others, and a new
``save_steps``, ``logging_steps`` or ``eval_steps`` is ignored.
"""

from __future__ import annotations

import re
from typing import Any

from transformers import PreTrainedModel, TrainerCallback, trainer


def mend() -> None:
    """Corrects two of the faults, before anything is loaded. The callbacks correct the others."""
    _let_cpu_ranks_load()
    _keep_epoch()


class RestoreNames(TrainerCallback):
    """Makes the model rename weights that are loaded into it, as ``from_pretrained`` does.

    Qwen2-VL and Qwen2.5-VL are saved with the published names of weights (``visual.…``), which
    differ from those in their classes (``model.visual.…``). Resuming looks for the latter, finds
    none and logs a warning (https://github.com/huggingface/transformers/issues/43701). LoRA
    adapters and DeepSpeed are not affected.
    """

    def on_init_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002
        """Called before a checkpoint is loaded."""
        model = others["model"]
        if isinstance(model, PreTrainedModel) and model._checkpoint_conversion_mapping:
            model.register_load_state_dict_pre_hook(_rename)


class AskedSteps(TrainerCallback):
    """Makes the trainer save, log and evaluate as often as the settings say.

    A checkpoint's state brings the numbers of the settings with which the run was begun.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Called after a checkpoint is loaded."""
        state.compute_steps(args, state.max_steps)


def _rename(model: Any, state_dict: dict[str, Any], *_: Any) -> None:
    known = model.state_dict().keys()
    for name in [name for name in state_dict if name not in known]:
        for pattern, replacement in model._checkpoint_conversion_mapping.items():
            renamed, count = re.subn(pattern, replacement, name)
            if count:
                state_dict[renamed] = state_dict.pop(name)
                break


def _let_cpu_ranks_load() -> None:
    # With several ranks, accelerate names the CPU cpu:0, transformers loads the optimizer's state
    # to that device, and PyTorch does not know it.
    from torch.serialization import register_package

    def restore(storage: Any, location: str) -> Any:
        return storage if location.startswith("cpu:") else None

    register_package(100, lambda _: None, restore)


def _keep_epoch() -> None:
    # The order of rows depends on the epoch. To resume within an epoch, accelerate makes a new
    # loader without the first batches, which believes to be in epoch 0 (corrected later:
    # https://github.com/huggingface/accelerate/pull/4071).
    skip = trainer.skip_first_batches

    def skip_in_epoch(dataloader: Any, num_batches: int = 0) -> Any:
        rest = skip(dataloader, num_batches)
        rest.iteration = dataloader.iteration
        return rest

    trainer.skip_first_batches = skip_in_epoch
