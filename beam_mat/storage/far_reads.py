"""Reading from stores behind a network: every answer is checked, every request is retried."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, BinaryIO, TypeVar

from fsspec.spec import make_instance

from beam_mat.storage import ahead
from beam_mat.storage.faults import deleted, shrunk
from beam_mat.storage.listing import children, info_of, is_file
from beam_mat.storage.retry import ShortBodyError, cause_of, insist
from beam_mat.storage.store import READ_BLOCK, FileInfo, IsWhole

T = TypeVar("T")

PIECE = 8 << 20
"""Bytes of one request when a long stretch is read in several."""


class FarReads:
    """The reading half of a store behind a network.

    Args:
        fs: The driver, one of fsspec's file systems.
        range_options: More arguments of its `cat_file`, from the end of the range.
    """

    near = False
    read_only = False
    results = staticmethod(ahead.ahead)

    def __init__(
        self, fs: Any, range_options: Callable[[int], dict[str, Any]] = lambda _: {}
    ) -> None:
        self._fs = fs
        self._range_options = range_options

    def begin(self, call: Callable[[], T]) -> Future[T]:
        return ahead.pool().submit(call)

    def path_of(self, uri: str) -> str:
        return str(self._fs._strip_protocol(uri))

    def uri(self, path: str) -> str:
        return str(self._fs.unstrip_protocol(path))

    def normalize(self, path: str) -> str:
        return self.uri(path).rstrip("/")

    def joined(self, folder: str, name: str) -> str:
        return f"{folder.rstrip('/')}/{name}"

    def ask(self, path: str, question: Callable[[], T]) -> T:
        """The store's answer, not the driver's memory: other processes write here as well."""

        def ask() -> T:
            self._fs.invalidate_cache()
            return question()

        return insist(self.uri(path), ask)

    def exists(self, path: str) -> bool:
        return self._entry(path) is not None

    def is_folder(self, path: str) -> bool:
        entry = self._entry(path)
        return entry is not None and entry["type"] == "directory"

    def file_at(self, path: str) -> FileInfo | None:
        entry = self._entry(path)
        return info_of(self._fs, entry) if entry and entry["type"] == "file" else None

    def info(self, path: str) -> FileInfo:
        return info_of(self._fs, self.ask(path, lambda: self._fs.info(path)))

    def _entry(self, path: str) -> dict[str, Any] | None:
        # The drivers' own exists() and isdir() answer no when the store is down.
        with contextlib.suppress(FileNotFoundError):
            return dict(self.ask(path, lambda: self._fs.info(path)))
        return None

    def glob(self, pattern: str) -> list[FileInfo]:
        listed = self.ask(pattern, lambda: self._fs.glob(pattern, detail=True))
        return [info_of(self._fs, entry) for entry in listed.values() if is_file(entry)]

    def find(self, folder: str, follow: bool) -> list[FileInfo]:
        del follow  # there are no links
        with contextlib.suppress(FileNotFoundError):
            listed = self.ask(folder, lambda: self._fs.find(folder.rstrip("/"), detail=True))
            return [info_of(self._fs, entry) for entry in listed.values() if is_file(entry)]
        return []

    def entries(self, folder: str) -> list[tuple[str, FileInfo | None]]:
        listed = self.ask(folder, lambda: self._fs.ls(folder, detail=True))
        return children(self._fs, folder, listed)

    def link_in(self, path: str, within: str) -> str | None:
        del path, within
        return None

    def read_bytes(self, path: str, is_whole: IsWhole | None = None) -> bytes:
        if is_whole:
            uri = self.uri(path)
            data: bytes = insist(uri, lambda: self._fs.cat_file(path))
            if is_whole(uri, data):
                return data
        return self.read_range(path, 0, self.info(path).size)

    def read_range(self, path: str, start: int, end: int) -> bytes:
        if end <= start:
            return b""
        return insist(self.uri(path), lambda: self._answer(path, start, end))

    def _answer(self, path: str, start: int, end: int) -> bytes:
        """Tries once to read a range."""
        failure: Exception
        try:
            # Drivers take a body that ends early for complete if its own header says nothing else.
            data: bytes = self._fs.cat_file(path, start=start, end=end, **self._range_options(end))
            if len(data) == end - start:
                return data
            failure = ShortBodyError(f"{len(data)} of {end - start} bytes from byte {start}")
        except FileNotFoundError as error:
            raise deleted(self.uri(path)) from cause_of(error)
        except Exception as error:  # noqa: BLE001  # `insist` judges it
            failure = error
        # Each store has its own way to say that a range is beyond the end.
        size = self.info(path).size
        if size < end:
            uri = self.uri(path)
            raise shrunk(uri, start, end, max(0, size - start)) from cause_of(failure)
        raise failure

    def read_blocks(self, path: str, start: int, end: int) -> Iterator[bytes]:
        begins = range(start, end, PIECE)
        pieces = ((at, min(at + PIECE, end)) for at in begins)
        calls = ((stop - at, partial(self._read_in_thread, path, at, stop)) for at, stop in pieces)
        for piece in self.results(calls):
            for at in range(0, len(piece), READ_BLOCK):
                yield piece[at : at + READ_BLOCK]

    def _read_in_thread(self, path: str, start: int, end: int) -> bytes:
        # fsspec makes some file systems for one thread only.
        own = copy.copy(self)
        own._fs = make_instance(type(self._fs), self._fs.storage_args, self._fs.storage_options)
        return own.read_range(path, start, end)

    def open_binary(self, path: str) -> BinaryIO:
        return io.BytesIO(self.read_bytes(path))
