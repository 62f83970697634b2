"""Local folders of models and adapters: whether their files are there and whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mat_trainer.launch import checkpoints

_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_BYTES = 1024
_SHOWN = 3


def faults(
    key: str, name: str, needed: str = "config.json", *, needs_weights: bool = True
) -> Iterator[str]:
    """Why a model or an adapter could not be loaded, as far as its files show it.

    Args:
        key: The setting's name, for messages.
        name: The folder.
        needed: A file that it must have.
        needs_weights: Whether it must have weights.
    """
    folder = Path(name)
    if not folder.is_dir():
        yield f"{key} {name}: there is no such folder on this machine; check the path"
        return
    pointers = sorted(path.name for path in folder.iterdir() if _is_pointer(path))
    if pointers:
        more = f" and {len(pointers) - _SHOWN} more" if len(pointers) > _SHOWN else ""
        yield (
            f"{key} {name}: {', '.join(pointers[:_SHOWN])}{more} are pointers of Git LFS and not "
            "the files themselves: run git lfs pull there"
        )
        return
    if not (folder / needed).is_file():
        yield f"{key} {name}: no {needed} in this folder, so no model; check the path"
    elif needs_weights and checkpoints.model_in(folder) is None:
        yield f"{key} {name}: no weights in this folder; download it again"
    elif needs_weights and (why := checkpoints.weight_fault(folder)):
        yield f"{key} {name}: {why}; download it again"


def _is_pointer(path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size > _POINTER_BYTES:
            return False
        return path.read_bytes().startswith(_POINTER)
    except OSError:
        return False
