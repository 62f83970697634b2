"""Whether a run's model and adapters can be loaded on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mat_trainer.dataset import hub
from mat_trainer.dataset.model_files import snapshot
from mat_trainer.launch import model_folder


def faults(settings: Mapping[str, Any]) -> list[str]:
    """Why they cannot, one sentence each."""
    found: list[str] = []
    name = str(settings.get("model_name_or_path") or "")
    needs_weights = settings.get("train_from_scratch") is not True
    if name and is_local(name):
        found += model_folder.faults("model_name_or_path", name, needs_weights=needs_weights)
    elif name and not _is_in_cache(settings):
        found += filter(None, [hub.fault(settings, os.environ)])
    adapters = settings.get("adapter_name_or_path") or []
    for adapter in str(adapters).split(",") if isinstance(adapters, str) else adapters:
        if is_local(text := str(adapter).strip()):
            found += model_folder.faults("adapter_name_or_path", text, "adapter_config.json")
    return found


def is_local(name: str) -> bool:
    """Whether a model's name is a folder here, and not a name on the model hub."""
    is_path = name.startswith((os.sep, ".")) or name.count("/") > 1
    return is_path or Path(name).is_dir()


def _is_in_cache(settings: Mapping[str, Any]) -> bool:
    folder = snapshot(settings, os.environ)
    return folder is not None and not list(model_folder.faults("", str(folder)))
