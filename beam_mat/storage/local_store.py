"""The local disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from fsspec.implementations.local import LocalFileSystem

from beam_mat.storage import ahead, local
from beam_mat.storage.faults import linked, shrunk
from beam_mat.storage.holding import holds
from beam_mat.storage.store import READ_BLOCK, FileInfo, IsWhole, Written


class _Partial:
    """A file in the scratch folder."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.file = local.begin(path)
        self.placed = False
        self.write = self.file.write


class LocalStore:
    """The local disk. Files appear whole because they are renamed or linked to their names."""

    near = True
    read_only = False
    results = staticmethod(ahead.one_by_one)
    begin = staticmethod(ahead.at_once)

    def path_of(self, uri: str) -> str:
        return uri.rstrip("/") or "/" if uri.startswith("/") else _stripped(uri)

    def uri(self, path: str) -> str:
        return path

    def normalize(self, path: str) -> str:
        return os.path.abspath(path)

    def joined(self, folder: str, name: str) -> str:
        return os.path.join(folder, name)

    # Reading

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)

    def file_at(self, path: str) -> FileInfo | None:
        try:
            found = os.stat(path)
        except (OSError, ValueError):  # a name with a null character is no file
            return None
        return _info(path, found) if stat.S_ISREG(found.st_mode) else None

    def info(self, path: str) -> FileInfo:
        return _info(path, os.stat(path))

    def glob(self, pattern: str) -> list[FileInfo]:
        found = map(self.file_at, LocalFileSystem().glob(pattern))
        return [file for file in found if file]

    def find(self, folder: str, follow: bool) -> list[FileInfo]:
        if not follow and os.path.islink(folder):
            raise linked(folder)
        if not os.path.isdir(folder):
            return []
        entries = local.walk(folder, follow)
        return [_info(entry.path, entry.stat(follow_symlinks=follow)) for entry in entries]

    def entries(self, folder: str) -> list[tuple[str, FileInfo | None]]:
        with os.scandir(folder) as found:
            return [(entry.name, _entry(entry)) for entry in found]

    def link_in(self, path: str, within: str) -> str | None:
        at = within.rstrip(os.sep)
        for name in os.path.relpath(path, within).split(os.sep):
            at = os.path.join(at, name)
            if os.path.islink(at):
                return at
        return None

    def read_bytes(self, path: str, is_whole: IsWhole | None = None) -> bytes:
        del is_whole  # a disk never returns half a file
        with open(path, "rb") as file:
            return file.read()

    def read_range(self, path: str, start: int, end: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(start)
            data = file.read(end - start)
        if len(data) != end - start:
            raise shrunk(path, start, end, len(data))
        return data

    def read_blocks(self, path: str, start: int, end: int) -> Iterator[bytes]:
        with open(path, "rb") as file:
            file.seek(start)
            at = start
            while at < end:
                block = file.read(min(READ_BLOCK, end - at))
                if not block:
                    raise shrunk(path, start, end, at - start)
                at += len(block)
                yield block

    def open_binary(self, path: str) -> BinaryIO:
        return open(path, "rb")

    # Changes

    @contextlib.contextmanager
    def staged(self, path: str, scratch: str) -> Iterator[_Partial]:
        with local.explained(path):
            partial = _Partial(os.path.join(scratch, uuid.uuid4().hex))
            try:
                with partial.file:
                    yield partial
            finally:
                if not partial.placed:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(partial.path)

    def place(self, staged: _Partial, path: str) -> None:
        staged.file.close()
        local.replace(staged.path, path)
        staged.placed = True

    def place_new(self, staged: _Partial, path: str, written: Written) -> None:
        try:
            found = os.lstat(path)  # a link is replaced, whatever it leads to
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if not (found and stat.S_ISREG(found.st_mode) and holds(self, path, written)):
            self.place(staged, path)

    def create(self, path: str, data: bytes) -> bool:
        with local.explained(path):
            try:
                local.create(path, data)
            except FileExistsError:
                return False
        return True

    def move(self, path: str, target: str) -> None:
        with local.explained(target):
            try:
                local.replace(path, target)
            except FileNotFoundError:
                if not os.path.exists(target):
                    raise

    def remove_file(self, path: str) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            return
        with (
            local.explained(path),
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
        ):
            os.unlink(path)

    def remove(self, path: str) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            with local.explained(path):
                shutil.rmtree(path)
        else:
            self.remove_file(path)

    def prune(self, folder: str) -> None:
        if os.path.islink(folder):
            return
        for path, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(path)

    def prune_above(self, path: str, folder: str) -> None:
        local.remove_empty_above(path, folder)


def _stripped(uri: str) -> str:
    return str(LocalFileSystem._strip_protocol(uri))  # the only place where fsspec has this


def _info(path: str, found: os.stat_result) -> FileInfo:
    return FileInfo(path, found.st_size, str(found.st_mtime))


def _entry(entry: os.DirEntry[str]) -> FileInfo | None:
    if entry.is_dir():
        return None
    try:
        return _info(entry.path, entry.stat())
    except FileNotFoundError:  # a link that leads nowhere
        return FileInfo(entry.path, 0, "")
