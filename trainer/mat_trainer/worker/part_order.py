"""Sorts part files, which LLaMA-Factory reads in the order of the file system's listing.

If two nodes numbered the rows differently, ranks would train on some rows twice and on others
never, and ``max_samples`` would choose other rows on each node.
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
    """Makes LLaMA-Factory's ``data.loader._load_single_dataset`` sort the parts by name."""
    loader.os = _SortedOs()
