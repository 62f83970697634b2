"""Settings that LLaMA-Factory's parser accepts and that make training fail. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def faults(settings: Mapping[str, Any]) -> list[str]:
    """Why training with these settings would fail or be useless, one sentence each.

    >>> [fault.split(" ")[0] for fault in faults({"tokenized_path": "/cache"})]
    ['tokenized_path:']
    """
    found = []
    if settings.get("streaming"):
        found += _streaming_faults(settings)
    if settings.get("tokenized_path"):
        found.append(
            "tokenized_path: training would use the tokenized data there instead of --dataset, "
            "unchecked; remove it (--set tokenized_path=null)"
        )
    return found


def _streaming_faults(settings: Mapping[str, Any]) -> list[str]:
    found = []
    if not settings.get("dataloader_num_workers"):
        # LLaMA-Factory splits the dataset into as many shards (#8560).
        found.append(
            "streaming with dataloader_num_workers 0 fails before the first step (StopIteration): "
            "set it to 1 or more, or streaming to false"
        )
    accelerator = settings.get("accelerator_config")
    dispatches = not isinstance(accelerator, Mapping) or accelerator.get("dispatch_batches", True)
    if int(settings.get("per_device_train_batch_size") or 8) > 1 and dispatches:
        found.append(
            "streaming with per_device_train_batch_size above 1 fails when batches are joined: "
            "set it to 1, or accelerator_config to {dispatch_batches: false}"
        )
    return found
