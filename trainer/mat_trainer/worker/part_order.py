"""Part files in one order on every node: LLaMA-Factory takes them as the file system lists them.

Ranks of two nodes that number the rows differently would train some of them twice and others
never, and ``max_samples`` would choose others on each.
"""

from __future__ import annotations

import os
from typing import Any

from llamafactory.data import loader


class _SortedOs:
    """The module `os` as LLaMA-Factory's loader sees it, with sorted listings."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    @staticmethod
    def listdir(folder: str) -> list[str]:
        return sorted(os.listdir(folder))


def sort() -> None:
    """Has LLaMA-Factory's loader (``data.loader._load_single_dataset``) sort the parts by name."""
    loader.os = _SortedOs()
