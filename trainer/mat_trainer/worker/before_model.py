"""What training needs beside its model: trackers, optimizer, schedule, attention, caches.

LLaMA-Factory and transformers find these faults after the model is loaded, or never. Here their own
code is asked before.
"""

from __future__ import annotations

import json
import netrc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

OFFLINE = ("offline", "disabled", "dryrun")


def faults(parsed: Any, settings: dict[str, Any], *, has_model: bool = True) -> Iterator[str]:
    """Why training with these arguments would fail, one sentence each.

    Args:
        parsed: What LLaMA-Factory's `get_train_args` returns. It may be changed.
        settings: The settings that it was made of.
        has_model: Whether the model's configuration can be read.
    """
    model, data, training, finetuning, _ = parsed
    yield from tracking_faults(training, finetuning, is_asked="report_to" in settings)
    yield from optimizer_faults(training, finetuning)
    yield from schedule_faults(training)
    yield from attention_faults(model)
    if has_model:
        yield from model_faults(model)
    yield from cache_faults(data)


def tracking_faults(training: Any, finetuning: Any, *, is_asked: bool) -> Iterator[str]:
    """Trackers that are not installed, or have no key."""
    from transformers.integrations import integration_utils

    for name in training.report_to:
        kind = integration_utils.INTEGRATION_TO_CALLBACK.get(name)
        if kind is None:
            known = ", ".join(integration_utils.INTEGRATION_TO_CALLBACK)
            yield f"report_to: {name} is not known; use none or one of {known}"
            continue
        try:
            if name != "codecarbon":  # which begins to measure at once
                kind()
        except Exception as error:  # noqa: BLE001 each tracker has errors of its own
            yield f"report_to: {name}: {_text(error)}; install it, or set report_to to none"
            continue
        if name == "wandb" and (why := wandb_fault()):
            asked = (
                "" if is_asked else " (report_to is not set, which means all that are installed)"
            )
            yield f"report_to: wandb{asked}: {why}"
        if name == "swanlab" and not finetuning.use_swanlab and (why := swanlab_fault("")):
            yield f"report_to: swanlab: {why}"
    if finetuning.use_swanlab and (why := swanlab_fault(finetuning.swanlab_mode)):
        yield f"use_swanlab: {why}"


def wandb_fault() -> str | None:
    """Why Weights & Biases would ask for a key, which nobody can type; None if it would not."""
    if os.environ.get("WANDB_MODE", "").lower() in OFFLINE:
        return None
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return None
    url = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    if _in_netrc(urlsplit(url).hostname or "", _home_netrc()):
        return None
    return (
        "no key for it on this machine, and training would end when it asks for one: set "
        "WANDB_API_KEY, or WANDB_MODE=offline, or report_to to none (--set report_to=none)"
    )


def swanlab_fault(mode: str) -> str | None:
    """Why SwanLab would ask for a key; None if it would not."""
    mode = mode or os.environ.get("SWANLAB_MODE", "cloud")
    if mode != "cloud" or os.environ.get("SWANLAB_API_KEY"):
        return None
    folder = Path(os.environ.get("SWANLAB_SAVE_DIR") or Path.home() / ".swanlab")
    if (folder / ".netrc").is_file():
        return None
    return "no key for it on this machine: set SWANLAB_API_KEY, or swanlab_mode to local"


def _home_netrc() -> Path:
    if named := os.environ.get("NETRC"):
        return Path(named)
    return next(
        (path for name in (".netrc", "_netrc") if (path := Path.home() / name).exists()),
        Path.home() / ".netrc",
    )


def _in_netrc(host: str, file: Path) -> bool:
    try:
        return netrc.netrc(str(file)).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def optimizer_faults(training: Any, finetuning: Any) -> Iterator[str]:
    """An optimizer whose package is not installed."""
    from transformers import Trainer

    if any(
        getattr(finetuning, f"use_{kind}") for kind in ("galore", "apollo", "badam", "adam_mini")
    ):
        return  # LLaMA-Factory's own, whose packages its parser checks
    try:
        Trainer.get_optimizer_cls_and_kwargs(training)
    except Exception as error:  # noqa: BLE001 training would raise it too
        if "need to pass a" not in str(error):  # the model, for a few; it is not loaded here
            name = getattr(training.optim, "value", training.optim)
            yield f"optim: {name}: {_text(error)}; install its package, or choose adamw_torch"


def schedule_faults(training: Any) -> Iterator[str]:
    """A schedule that lacks arguments."""
    import torch
    from llamafactory.train.trainer_utils import create_custom_scheduler
    from transformers import get_scheduler

    steps = max(training.max_steps, 100)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=training.learning_rate)
    try:
        create_custom_scheduler(training, steps, optimizer)
        get_scheduler(
            training.lr_scheduler_type,
            optimizer=optimizer,
            num_warmup_steps=training.get_warmup_steps(steps),
            num_training_steps=steps,
            scheduler_specific_kwargs=training.lr_scheduler_kwargs,
        )
    except Exception as error:  # noqa: BLE001 training would raise it too
        name = getattr(training.lr_scheduler_type, "value", training.lr_scheduler_type)
        yield f"lr_scheduler_type: {name}: {_text(error)}; set lr_scheduler_kwargs"


def attention_faults(model: Any) -> Iterator[str]:
    """FlashAttention-2 that is asked for and not installed: another would be used silently."""
    from transformers.utils import is_flash_attn_2_available, is_torch_npu_available

    wanted = getattr(model.flash_attn, "value", model.flash_attn)
    if wanted == "fa2" and not (is_flash_attn_2_available() or is_torch_npu_available()):
        yield (
            "flash_attn: fa2: FlashAttention-2 is not installed here or finds no GPU, and training "
            "would use another attention without a word: pip install flash-attn, or set flash_attn "
            "to auto"
        )


def model_faults(model: Any) -> Iterator[str]:
    """What LLaMA-Factory finds in the model's configuration, quantization included."""
    from llamafactory.model import load_config
    from llamafactory.model.loader import _get_init_kwargs
    from llamafactory.model.patcher import patch_config

    try:
        config = load_config(model)
    except Exception as error:  # noqa: BLE001 training would raise it too
        yield f"model_name_or_path {model.model_name_or_path}: {_text(error)}"
        return
    try:
        patch_config(config, None, model, _get_init_kwargs(model), is_trainable=True)
    except Exception as error:  # noqa: BLE001 training would raise it too
        bit = model.quantization_bit
        key = f"quantization_bit: {bit}" if bit is not None else "model_name_or_path"
        yield f"{key}: {_text(error)}"


def cache_faults(data: Any) -> Iterator[str]:
    """A cache of the library `datasets` that cannot be written, or is too full for this dataset."""
    from datasets import config

    folder = Path(config.HF_DATASETS_CACHE)
    cure = "set HF_HOME, or HF_DATASETS_CACHE, to a folder that you can write to"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield f"{folder}: {error.strerror}; the library datasets keeps its files there: {cure}"
        return
    needed, free = _bytes_of(data), shutil.disk_usage(folder).free
    if needed > free:
        yield (
            f"{folder}: the library datasets needs {needed / 1e9:,.2f} GB at least for its copy of "
            f"the rows, and {free / 1e9:,.2f} GB are free; make space, or {cure} on a larger disk"
        )


def _bytes_of(data: Any) -> int:
    """The size of the dataset's parts, as the registry names them."""
    folder = Path(str(data.dataset_dir))
    try:
        registry = json.loads((folder / "dataset_info.json").read_bytes())
    except (OSError, ValueError):
        return 0
    names = [*(data.dataset or []), *(data.eval_dataset or [])]
    places = [
        folder / str(registry[name].get("file_name", "")) for name in names if name in registry
    ]
    files = [file for place in places if place.is_dir() for file in place.iterdir()]
    return sum(file.stat().st_size for file in files if file.is_file())


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".!") or type(error).__name__
