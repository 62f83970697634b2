"""Object stores, such as Google's and S3."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from beam_mat.core.errors import SourceError
from beam_mat.storage.far_reads import FarReads
from beam_mat.storage.holding import holds
from beam_mat.storage.listing import is_glob
from beam_mat.storage.retry import insist
from beam_mat.storage.store import Written
from beam_mat.storage.uploads import Upload

CREATE_BYTES = 256 << 10
"""A file of at most this size is sent before anyone looks whether it is there: if it is, sending
this much in vain costs less than asking first costs all the others."""


class FarStore(FarReads):
    """An object store. A file appears when its upload is complete.

    Args:
        fs: The driver, one of fsspec's file systems.
        pieces: Arguments of its `put_file` that bound how much of a file it holds in memory.
    """

    def __init__(self, fs: Any, pieces: Mapping[str, int] | None = None) -> None:
        super().__init__(fs)
        self._pieces = dict(pieces or {})

    @contextlib.contextmanager
    def staged(self, path: str, scratch: str) -> Iterator[Upload]:
        del path, scratch
        with Upload() as upload:
            yield upload

    def place(self, staged: Upload, path: str) -> None:
        staged.send(self.uri(path), self._fs, path, self._pieces)

    def place_new(self, staged: Upload, path: str, written: Written) -> None:
        if written.bytes <= CREATE_BYTES:
            there = self.create(path, staged.content())
        else:
            there = holds(self, path, written)
        if not there:
            self.place(staged, path)

    def create(self, path: str, data: bytes) -> bool:
        try:
            insist(self.uri(path), lambda: self._fs.pipe_file(path, data, mode="create"))
        except FileExistsError:
            # This may be the answer to a second attempt after the first one's was lost.
            try:
                return self.read_bytes(path) == data
            except (FileNotFoundError, SourceError):  # the other writer has removed it
                return False
        return True

    def move(self, path: str, target: str) -> None:
        try:
            self.ask(path, lambda: self._fs.cp_file(path, target))
        except FileNotFoundError:
            if not self.exists(target):
                raise
        else:
            self.remove_file(path)

    def remove_file(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.ask(path, lambda: self._fs.rm_file(path))

    def remove(self, path: str) -> None:
        if is_glob(path):
            # The driver's rm() would remove everything that matches.
            for name in self.ask(path, lambda: self._fs.find(path)):
                self.ask(path, partial(self._fs.rm_file, name))
            return
        with contextlib.suppress(FileNotFoundError):
            self.ask(path, lambda: self._fs.rm(path, recursive=True))

    def prune(self, folder: str) -> None:
        """Does nothing: an object store has no folders."""

    def prune_above(self, path: str, folder: str) -> None:
        """Does nothing: an object store has no folders."""
