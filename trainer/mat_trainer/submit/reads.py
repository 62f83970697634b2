"""The files that a recipe names, on the machine that will read them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mat_trainer.submit.mounts import Mount, is_below

KEYS = ("model_name_or_path", "adapter_name_or_path", "deepspeed", "resume_from_checkpoint")


def absent(settings: Mapping[str, Any]) -> list[str]:
    """Paths that are not on this machine, one sentence each, for nodes that share its folders."""
    return [
        f"{key} {path}: not on this machine; the job fails unless its nodes have it"
        for key, path in _paths(settings)
        if not Path(path).exists()
    ]


def faults(settings: Mapping[str, Any], mounts: Sequence[Mount]) -> list[str]:
    """Files that a container would not find, one sentence each.

    They have to be on a mounted volume, or in the image, which nobody sees from here.
    """
    found = []
    for key, path in _paths(settings):
        if not os.path.isabs(path):
            found.append(f"{key} {path}: the job runs in another folder; pass an absolute path")
        elif Path(path).exists() and not any(is_below(path, mount.path) for mount in mounts):
            there = ", ".join(mount.path for mount in mounts) or "none are given"
            found.append(
                f"{key} {path}: on this machine, but not on a mounted volume of the job ({there}); "
                "see --mount"
            )
    return found


def _paths(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in KEYS:
        path = settings.get(key)
        if isinstance(path, str) and _is_path(key, path):
            yield key, path


def _is_path(key: str, text: str) -> bool:
    if key in ("deepspeed", "resume_from_checkpoint"):
        return True
    return text.startswith((os.sep, ".")) or text.count("/") > 1 or Path(text).is_dir()
