"""Hugging Face's hub: datasets are read where they are, and never written."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NoReturn

from beam_mat.core.errors import OutputError
from beam_mat.storage.far_reads import FarReads
from beam_mat.storage.store import Staged, Written


class HubStore(FarReads):
    """The hub. Every change is refused with an `OutputError`."""

    read_only = True

    def __init__(self, fs: Any) -> None:
        # The driver reads megabytes ahead, and asks for the size first if it does not get one.
        super().__init__(fs, lambda end: {"cache_type": "none", "size": end})

    def staged(self, path: str, scratch: str) -> AbstractContextManager[Staged]:
        del scratch
        self._refuse(path)

    def place(self, staged: Any, path: str) -> None:
        del staged
        self._refuse(path)

    def place_new(self, staged: Any, path: str, written: Written) -> None:
        del staged, written
        self._refuse(path)

    def create(self, path: str, data: bytes) -> bool:
        del data
        self._refuse(path)

    def move(self, path: str, target: str) -> None:
        del path
        self._refuse(target)

    def remove_file(self, path: str) -> None:
        self._refuse(path)

    def remove(self, path: str) -> None:
        self._refuse(path)

    def prune(self, folder: str) -> None:
        self._refuse(folder)

    def prune_above(self, path: str, folder: str) -> None:
        del folder
        self._refuse(path)

    def _refuse(self, path: str) -> NoReturn:
        raise OutputError(
            f"{self.uri(path)}: the hub is read only to beam-mat; choose another output folder"
        )
