"""Files are written under no name until they are complete."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

from beam_mat.storage.locate import locate
from beam_mat.storage.store import Staged, Written


class HashingWriter(io.RawIOBase):
    """Passes bytes on, counts them and computes their SHA-256."""

    def __init__(self, target: Staged) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._bytes = 0

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, data: Any) -> int:
        """Writes all of `data`."""
        view = memoryview(data)
        self._target.write(view)
        self._hash.update(view)
        self._bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """How many bytes have been written."""
        return self._bytes

    def result(self) -> Written:
        """Size and hash of everything that has been written."""
        return Written(self._bytes, self._hash.hexdigest())


@contextlib.contextmanager
def write(uri: str, scratch: str) -> Iterator[HashingWriter]:
    """Writes a file that appears under its name whole, when the block ends, or not at all.

    A file of that name is replaced. For files that must never change, see `write_new`.

    Args:
        uri: The file.
        scratch: A folder on the same file system for unfinished files. Object stores do not use it.

    Raises:
        OutputError: There is no space, or no permission.
        StoreError: The store failed again and again.
    """
    store, path = locate(uri)
    with store.staged(path, _path_of(scratch)) as staged:
        writer = HashingWriter(staged)
        yield writer
        store.place(staged, path)


@contextlib.contextmanager
def write_new(uri: str, scratch: str) -> Iterator[HashingWriter]:
    """As `write`, for a file whose name says what it holds.

    A file that holds exactly these bytes already stays untouched. A file with other bytes is
    damaged, and is replaced whole. If several processes write the file at once, each of them
    finds it complete.
    """
    store, path = locate(uri)
    with store.staged(path, _path_of(scratch)) as staged:
        writer = HashingWriter(staged)
        yield writer
        store.place_new(staged, path, writer.result())


def write_bytes(uri: str, data: bytes, scratch: str) -> Written:
    """Writes a small file whole. See `write`."""
    with write(uri, scratch) as file:
        file.write(data)
    return file.result()


def write_bytes_new(uri: str, data: bytes, scratch: str) -> Written:
    """Writes a small file whole, unless it is there with the same bytes. See `write_new`."""
    with write_new(uri, scratch) as file:
        file.write(data)
    return file.result()


class Outbox:
    """Writes small files, several at once on a far store. All are there when the block ends."""

    def __init__(self) -> None:
        self._sent: list[Future[Written]] = []

    def write_bytes(self, uri: str, data: bytes, scratch: str) -> Written:
        """As `write_bytes`, but an error of a far store is raised when the block ends."""
        return self._send(write_bytes, uri, data, scratch)

    def write_bytes_new(self, uri: str, data: bytes, scratch: str) -> Written:
        """As `write_bytes_new`, but an error of a far store is raised when the block ends."""
        return self._send(write_bytes_new, uri, data, scratch)

    def _send(
        self, write: Callable[[str, bytes, str], Written], uri: str, data: bytes, scratch: str
    ) -> Written:
        store, _ = locate(uri)
        sent = store.begin(partial(write, uri, data, scratch))
        if store.near:
            return sent.result()
        self._sent.append(sent)
        return Written(len(data), hashlib.sha256(data).hexdigest())

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for sent in self._sent:
            if kind is None:
                sent.result()
            else:
                sent.cancel()


def _path_of(scratch: str) -> str:
    return locate(scratch)[1] if scratch else ""
