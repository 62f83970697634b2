"""What transformers 4.57 and accelerate 1.11 forget when training goes on from a checkpoint.

Without this module a training of several ranks on the CPU ends there with an error, a fully tuned
Qwen2-VL silently goes on from the untrained model, and the epoch that was interrupted shows rows
twice and others never.
"""

from __future__ import annotations

import re
from typing import Any

from transformers import PreTrainedModel, TrainerCallback, trainer


def mend() -> None:
    """Sees to what can be seen to before anything is loaded. `RestoreNames` does the rest."""
    _let_cpu_ranks_load()
    _keep_epoch()


class RestoreNames(TrainerCallback):
    """Has the model rename the weights that are loaded into it, as ``from_pretrained`` does.

    Those of Qwen2-VL and Qwen2.5-VL are saved under the names of the published models
    (``visual.…``), others than in their classes (``model.visual.…``). Going on from a checkpoint
    looks for the latter, finds none and logs a warning
    (https://github.com/huggingface/transformers/issues/43701). LoRA adapters are not concerned, nor
    is DeepSpeed, which saves the names as they are.
    """

    def on_init_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002
        """Called before a checkpoint is loaded."""
        model = others["model"]
        if isinstance(model, PreTrainedModel) and model._checkpoint_conversion_mapping:
            model.register_load_state_dict_pre_hook(_rename)


def _rename(model: Any, state_dict: dict[str, Any], *_: Any) -> None:
    known = model.state_dict().keys()
    for name in [name for name in state_dict if name not in known]:
        for pattern, replacement in model._checkpoint_conversion_mapping.items():
            renamed, count = re.subn(pattern, replacement, name)
            if count:
                state_dict[renamed] = state_dict.pop(name)
                break


def _let_cpu_ranks_load() -> None:
    # Accelerate calls the CPU of a run of several ranks cpu:0, transformers has the optimizer's
    # state loaded to there, and PyTorch does not know such a place.
    from torch.serialization import register_package

    def restore(storage: Any, location: str) -> Any:
        return storage if location.startswith("cpu:") else None

    register_package(100, lambda _: None, restore)


def _keep_epoch() -> None:
    # The order of the rows follows from the epoch. Of an epoch that is gone on with, accelerate
    # makes a new loader without the first batches, and that takes itself to be in epoch 0
    # (mended later: https://github.com/huggingface/accelerate/pull/4071).
    skip = trainer.skip_first_batches

    def skip_in_epoch(dataloader: Any, num_batches: int = 0) -> Any:
        rest = skip(dataloader, num_batches)
        rest.iteration = dataloader.iteration
        return rest

    trainer.skip_first_batches = skip_in_epoch
