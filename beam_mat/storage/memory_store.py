"""fsspec's files in memory, for tests and examples."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from typing import Any

from beam_mat.storage import ahead
from beam_mat.storage.faults import shrunk
from beam_mat.storage.holding import holds
from beam_mat.storage.listing import children, info_of, is_file
from beam_mat.storage.store import READ_BLOCK, FileInfo, IsWhole, Written

_creating = threading.Lock()


class MemoryStore:
    """Files in the memory of this process. It has no links, and folders only by their files."""

    near = True
    read_only = False
    results = staticmethod(ahead.one_by_one)
    begin = staticmethod(ahead.at_once)

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def path_of(self, uri: str) -> str:
        return str(self._fs._strip_protocol(uri))

    def uri(self, path: str) -> str:
        return str(self._fs.unstrip_protocol(path))

    def normalize(self, path: str) -> str:
        return self.uri(path).rstrip("/")

    def joined(self, folder: str, name: str) -> str:
        return f"{folder.rstrip('/')}/{name}"

    # Reading

    def exists(self, path: str) -> bool:
        return bool(self._fs.exists(path))

    def is_folder(self, path: str) -> bool:
        return bool(self._fs.isdir(path))

    def file_at(self, path: str) -> FileInfo | None:
        return self.info(path) if self._fs.isfile(path) else None

    def info(self, path: str) -> FileInfo:
        return info_of(self._fs, self._fs.info(path))

    def glob(self, pattern: str) -> list[FileInfo]:
        return [file for file in map(self.file_at, self._fs.glob(pattern)) if file]

    def find(self, folder: str, follow: bool) -> list[FileInfo]:
        del follow
        listed = self._fs.find(folder.rstrip("/"), detail=True).values()
        return [info_of(self._fs, entry) for entry in listed if is_file(entry)]

    def entries(self, folder: str) -> list[tuple[str, FileInfo | None]]:
        return children(self._fs, folder, self._fs.ls(folder, detail=True))

    def link_in(self, path: str, within: str) -> str | None:
        del path, within
        return None

    def read_bytes(self, path: str, is_whole: IsWhole | None = None) -> bytes:
        del is_whole
        data: bytes = self._fs.cat_file(path)
        return data

    def read_range(self, path: str, start: int, end: int) -> bytes:
        data: bytes = self._fs.cat_file(path, start=start, end=end)
        if len(data) != end - start:
            raise shrunk(self.uri(path), start, end, len(data))
        return data

    def read_blocks(self, path: str, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, READ_BLOCK):
            yield self.read_range(path, at, min(at + READ_BLOCK, end))

    def open_binary(self, path: str) -> Any:
        return io.BytesIO(self.read_bytes(path))

    # Changes

    @contextlib.contextmanager
    def staged(self, path: str, scratch: str) -> Iterator[io.BytesIO]:
        del path, scratch
        yield io.BytesIO()

    def place(self, staged: io.BytesIO, path: str) -> None:
        self._fs.pipe_file(path, staged.getvalue())

    def place_new(self, staged: io.BytesIO, path: str, written: Written) -> None:
        if not holds(self, path, written):
            self.place(staged, path)

    def create(self, path: str, data: bytes) -> bool:
        with _creating:
            try:
                self._fs.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
        return True

    def move(self, path: str, target: str) -> None:
        try:
            self._fs.cp_file(path, target)
        except FileNotFoundError:
            if not self.exists(target):
                raise
        else:
            self.remove_file(path)

    def remove_file(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(path)

    def remove(self, path: str) -> None:
        # The driver's own rm() takes a name for a pattern.
        for name in self._fs.find(path):
            self.remove_file(name)
        if self._fs.isdir(path):
            self._fs.rm(path, recursive=True)

    def prune(self, folder: str) -> None:
        """Does nothing: there are no empty folders to remove."""

    def prune_above(self, path: str, folder: str) -> None:
        """Does nothing: there are no empty folders to remove."""
