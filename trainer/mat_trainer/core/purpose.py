"""Recipes that are not for training, and the command that they are for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fault(settings: Mapping[str, Any], file: str) -> str | None:
    """Why a recipe is not one for training; None if it is, or may be.

    LLaMA-Factory's examples for merging, prediction and inference have no ``do_train``. They would
    train if it was added.

    >>> fault({"export_dir": "merged"}, "merge.yaml")[:49]
    'merge.yaml: export_dir without do_train: true is '
    """
    if settings.get("do_train") is True:
        return None
    for key, purpose, command in _PURPOSES:
        if settings.get(key):
            return (
                f"{file}: {key} without do_train: true is a recipe for {purpose}, and mat-trainer "
                f"would train: use {command} {file}; if training is meant, add do_train: true"
            )
    return None


_PURPOSES = (
    ("export_dir", "merging an adapter", "llamafactory-cli export"),
    ("do_predict", "prediction", "llamafactory-cli train"),
    ("predict_with_generate", "prediction", "llamafactory-cli train"),
    ("do_eval", "evaluation", "llamafactory-cli train"),
    ("infer_backend", "inference", "llamafactory-cli chat"),
)
