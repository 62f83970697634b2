"""What a run on preferences compares its answers with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mat_trainer.core.subset import SFT


def notice(settings: Mapping[str, Any]) -> str | None:
    """What the user should know about the reference model; None if there is nothing.

    Source: llamafactory.train.trainer_utils.create_ref_model, and the trainers of dpo and kto.

    >>> notice({"stage": "kto", "finetuning_type": "lora"})
    >>> notice({"stage": "dpo", "finetuning_type": "full"})[:36]
    'finetuning_type full with stage dpo:'
    """
    stage, method = settings.get("stage", SFT), settings.get("finetuning_type", "lora")
    has_none = stage == "dpo" and settings.get("pref_loss") in ("orpo", "simpo")
    if stage not in ("dpo", "kto") or has_none or settings.get("ref_model"):
        return None
    if method != "lora":
        return (
            f"finetuning_type {method} with stage {stage}: the reference is a second copy of the "
            "model, in memory beside the first"
        )
    if settings.get("adapter_name_or_path") and not settings.get("create_new_adapter"):
        return (
            f"adapter_name_or_path with stage {stage}: the adapter is trained on, and the "
            "reference is the model without it; to compare with the adapter's own answers, use "
            "--set create_new_adapter=true"
        )
    return None
