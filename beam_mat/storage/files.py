"""Files anywhere that fsspec reaches: found, read in ranges, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from beam_mat.core.errors import SourceError

READ_BLOCK = 1 << 20


class FileInfo(msgspec.Struct, frozen=True):
    """A file as it was found: `version` changes when its content does."""

    uri: str
    size: int
    version: str


class Written(msgspec.Struct, frozen=True):
    """What a finished file holds."""

    bytes: int
    sha256: str


def normalize(uri: str) -> str:
    """The same place however it was spelled: local paths absolute, no trailing slash.

    >>> normalize("memory://a/b/")
    'memory:///a/b'
    """
    fs, path = url_to_fs(uri)
    if isinstance(fs, LocalFileSystem):
        return os.path.abspath(str(path))
    return str(fs.unstrip_protocol(path)).rstrip("/")


def join(folder: str, *names: str) -> str:
    """A file's uri below a folder's uri."""
    return "/".join([folder.rstrip("/"), *names])


def exists(uri: str) -> bool:
    """Whether a file or folder is there."""
    fs, path = url_to_fs(uri)
    return bool(fs.exists(path))


def is_folder(uri: str) -> bool:
    """Whether `uri` names a folder."""
    fs, path = url_to_fs(uri)
    return bool(fs.isdir(path))


def info(uri: str) -> FileInfo:
    """Looks a file up.

    Raises:
        FileNotFoundError: It is not there.
    """
    fs, path = url_to_fs(uri)
    return _info(fs, fs.info(path))


def _info(fs: Any, found: dict[str, Any]) -> FileInfo:
    keys = ("generation", "etag", "ETag", "mtime", "LastModified", "last_modified", "created")
    version = next((str(found[key]) for key in keys if found.get(key)), "")
    name = str(found["name"])
    uri = name if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(name))
    return FileInfo(uri, int(found["size"]), version)


def expand(uri: str) -> list[FileInfo]:
    """The files that a uri or glob names, by name. A name that exists is never taken for a glob.

    Raises:
        FileNotFoundError: There is none.
    """
    fs, path = url_to_fs(uri)
    if fs.isfile(path):
        return [_info(fs, fs.info(path))]
    found = fs.glob(path) if _is_glob(path) else []
    # A listing tells of some stores less than a look at the file itself, and does not say of a
    # symbolic link that it leads to a file.
    files = [_info(fs, fs.info(name)) for name in found if fs.isfile(name)]
    if not files:
        raise FileNotFoundError(uri)
    return sorted(files, key=lambda file: file.uri)


def _is_glob(path: str) -> bool:
    return any(sign in path for sign in "*?[")


def find(folder: str) -> list[tuple[str, FileInfo]]:
    """Every file below a folder, with its path relative to it, sorted by that path.

    A folder that is not there has none. Symbolic links to files and folders are followed.
    """
    fs, root = url_to_fs(folder)
    root = root.rstrip("/")
    if isinstance(fs, LocalFileSystem):
        found = list(_walk(root, ())) if os.path.isdir(root) else []
    else:
        found = [_info(fs, entry) for entry in fs.find(root, detail=True).values()]
    begin = len(root if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(root)))
    pairs = [(file.uri[begin:].lstrip("/"), file) for file in found]
    return sorted(pairs, key=lambda pair: pair[0])


def _walk(folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[FileInfo]:
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:  # a link back to a folder on the way here
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(entry.path, (*above, here))
            elif entry.is_file():
                found = entry.stat()
                yield FileInfo(entry.path, found.st_size, str(found.st_mtime))


def entries(folder: str) -> list[tuple[str, FileInfo | None]]:
    """What lies in a folder itself, by name: a file, or None for a folder in it.

    A symbolic link is what it leads to; one that leads nowhere is a file of no bytes.
    """
    fs, root = url_to_fs(folder)
    if isinstance(fs, LocalFileSystem):
        found = [(entry.name, _local_entry(entry)) for entry in os.scandir(root)]
    else:
        found = [
            (_name(entry), None if entry["type"] == "directory" else _info(fs, entry))
            for entry in fs.ls(root, detail=True)
            if _name(entry) != "" and str(entry["name"]).rstrip("/") != root.rstrip("/")
        ]
    return sorted(found, key=lambda pair: pair[0])


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]


def _local_entry(entry: os.DirEntry[str]) -> FileInfo | None:
    if entry.is_dir():
        return None
    try:
        found = entry.stat()
    except FileNotFoundError:
        return FileInfo(entry.path, 0, "")
    return FileInfo(entry.path, found.st_size, str(found.st_mtime))


def read_range(uri: str, start: int, end: int) -> bytes:
    """Bytes ``[start, end)`` of a file, all of them.

    Raises:
        SourceError: The file is shorter than it was when it was found.
    """
    fs, path = url_to_fs(uri)
    data: bytes = fs.cat_file(path, start=start, end=end)
    if len(data) != end - start:
        raise SourceError(
            f"{uri}: bytes {start} to {end} were asked for, {len(data)} came; "
            "the file changed or the store cut the answer short: run again"
        )
    return data


def read_blocks(uri: str, start: int, end: int) -> Iterator[bytes]:
    """Bytes ``[start, end)`` of a file in blocks of `READ_BLOCK`. Errors as in `read_range`."""
    fs, path = url_to_fs(uri)
    with fs.open(path, "rb", block_size=4 * READ_BLOCK) as file:
        file.seek(start)
        at = start
        while at < end:
            block = file.read(min(READ_BLOCK, end - at))
            if not block:
                raise SourceError(f"{uri}: ended at byte {at}, {end} were expected; run again")
            at += len(block)
            yield block


def open_binary(uri: str) -> Any:
    """Opens a file for reading as a context manager with seek and tell."""
    fs, path = url_to_fs(uri)
    return fs.open(path, "rb")


class HashingWriter(io.RawIOBase):
    """Passes bytes on and keeps their count and SHA-256."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._bytes = 0

    def writable(self) -> bool:
        """Always: this is a writer."""
        return True

    def write(self, data: Any) -> int:
        """Writes all of `data`."""
        view = memoryview(data)
        self._target.write(view)
        self._hash.update(view)
        self._bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self._bytes

    def result(self) -> Written:
        """What has been written."""
        return Written(self._bytes, self._hash.hexdigest())


@contextlib.contextmanager
def write(uri: str, scratch: str) -> Iterator[HashingWriter]:
    """Writes a file that appears under its name whole, when the block ends, or not at all.

    Writing the same name again replaces it, so that a unit of work that is done twice does no harm.

    Args:
        uri: The file's name.
        scratch: A folder on the same file system for what is not whole yet. Not used on object
            stores, where the file waits in memory and an upload appears when it is complete.
    """
    fs, path = url_to_fs(uri)
    if isinstance(fs, LocalFileSystem):
        partial = os.path.join(normalize(scratch), uuid.uuid4().hex)
        file = _create(partial)
        try:
            with file:
                writer = HashingWriter(file)
                yield writer
            _place(partial, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
            raise
        return
    # A file opened there may appear before it is closed, and even when it never should.
    buffer = io.BytesIO()
    yield HashingWriter(buffer)
    fs.pipe_file(path, buffer.getvalue())


def _create(path: str) -> BinaryIO:
    try:
        return open(path, "wb")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "wb")


def _place(partial: str, path: str) -> None:
    try:
        os.replace(partial, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(partial, path)


def write_bytes(uri: str, data: bytes, scratch: str) -> Written:
    """Writes a small file whole. See `write`."""
    with write(uri, scratch) as file:
        file.write(data)
    return file.result()


def read_bytes(uri: str) -> bytes:
    """Reads a small file whole."""
    fs, path = url_to_fs(uri)
    data: bytes = fs.cat_file(path)
    return data


def remove(uri: str) -> None:
    """Removes a file or a whole folder; what is not there is fine."""
    fs, path = url_to_fs(uri)
    if isinstance(fs, LocalFileSystem):
        _remove_local(path)
    elif _is_glob(path):
        # rm() would remove whatever matches.
        for name in fs.find(path):
            fs.rm_file(name)
    else:
        with contextlib.suppress(FileNotFoundError):
            fs.rm(path, recursive=True)


def _remove_local(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
