"""The version of a run's model, as far as its tokenizer and processor depend on it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mat_trainer.dataset.cache import user_cache

_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack"}


def fingerprint(settings: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """Identifies the version of the recipe's model; None if it is not known yet.

    Args:
        settings: The recipe's: `model_name_or_path`, `model_revision`, `cache_dir`.
        environment: Has the folder of the hub's cache, as huggingface_hub reads it.

    Returns:
        For a local folder, a hash of its files without the weights; for a model of the hub, its
        commit, once it is in the hub's cache.
    """
    name = str(settings["model_name_or_path"])
    extra = settings.get("new_special_tokens_config")
    beside = _hash([Path(extra)]) if extra and Path(extra).is_file() else ""
    if Path(name).is_dir():
        files = [path for path in Path(name).rglob("*") if path.is_file()]
        return _hash([path for path in files if path.suffix not in _WEIGHTS]) + beside
    folder = snapshot(settings, environment)
    return folder.name + beside if folder else None


def snapshot(settings: Mapping[str, Any], environment: Mapping[str, str]) -> Path | None:
    """The folder of a hub's model in the hub's cache; None if it is not there.

    It has the files that were needed so far, perhaps without weights.
    """
    name = str(settings["model_name_or_path"])
    cache = settings.get("cache_dir")
    model = (
        Path(cache) if cache else _hub_cache(environment)
    ) / f"models--{name.replace('/', '--')}"
    revision = str(settings.get("model_revision") or "main")
    reference = model / "refs" / revision
    commit = revision
    if not (model / "snapshots" / revision).is_dir():
        if not reference.is_file():
            return None
        commit = reference.read_text().strip()
    return model / "snapshots" / commit


def content(settings: Mapping[str, Any]) -> str:
    """Identifies the files of a local model; empty for a model of the hub, or for none.

    Weights count by name and size only, since they are large.
    """
    name = settings.get("model_name_or_path")
    if not name or not Path(str(name)).is_dir():
        return ""
    files = sorted(path for path in Path(str(name)).iterdir() if path.is_file())
    weights = [f"{path.name} {path.stat().st_size}" for path in files if path.suffix in _WEIGHTS]
    others = _hash([path for path in files if path.suffix not in _WEIGHTS])
    return hashlib.sha256("\n".join([others, *weights]).encode()).hexdigest()


def _hub_cache(environment: Mapping[str, str]) -> Path:
    if cache := environment.get("HF_HUB_CACHE"):
        return Path(cache)
    if home := environment.get("HF_HOME"):
        return Path(home) / "hub"
    return user_cache(environment) / "huggingface" / "hub"


def _hash(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        data = path.read_bytes()
        digest.update(f"{path.name}\n{len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()
