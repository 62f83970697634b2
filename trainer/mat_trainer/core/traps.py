"""Settings that LLaMA-Factory's parser lets pass and training does not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def faults(settings: Mapping[str, Any]) -> list[str]:
    """What would end or empty a training of these settings, a sentence each.

    >>> [fault.split(" ")[0] for fault in faults({"tokenized_path": "/cache"})]
    ['tokenized_path:']
    """
    found = []
    if settings.get("streaming"):
        found += _streaming_faults(settings)
    if settings.get("tokenized_path"):
        found.append(
            "tokenized_path: what is tokenized there would be trained on instead of --dataset, "
            "and is not checked; leave it out (--set tokenized_path=null)"
        )
    return found


def _streaming_faults(settings: Mapping[str, Any]) -> list[str]:
    found = []
    if not settings.get("dataloader_num_workers"):
        # LLaMA-Factory makes as many shards of the dataset (#8560).
        found.append(
            "streaming with dataloader_num_workers 0 ends before the first step with "
            "StopIteration: set it to 1 or more, or streaming to false"
        )
    accelerator = settings.get("accelerator_config")
    dispatches = not isinstance(accelerator, Mapping) or accelerator.get("dispatch_batches", True)
    if int(settings.get("per_device_train_batch_size") or 8) > 1 and dispatches:
        found.append(
            "streaming with per_device_train_batch_size above 1 fails when batches are put "
            "together: set it to 1, or accelerator_config to {dispatch_batches: false}"
        )
    return found
