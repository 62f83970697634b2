"""The local disk, and refusals of the operating system in plain words."""

import contextlib
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO, TypeVar

from beam_mat.core.errors import OutputError
from beam_mat.storage.store import (
    READ_BLOCK,
    FileInfo,
    IsWhole,
    Store,
    Written,
    linked,
    outside,
    shrunk,
)

T = TypeVar("T")

_REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than this process may write",
    errno.EACCES: "there is no permission",
    errno.EPERM: "there is no permission",
    errno.EROFS: "the file system is read only",
}
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Turns the system's refusal to write into an OutputError of one sentence."""
    try:
        yield
    except OSError as error:
        why = _REFUSALS.get(error.errno or 0)
        if why is None:
            raise
        raise OutputError(
            f"{error.filename2 or error.filename or path}: {why} ({error.strerror}); fix this and "
            "run the same command again; it resumes from here"
        ) from error


class LocalStore(Store):
    """The local disk. Files appear whole because they are renamed or linked to their names."""

    local = True

    def __init__(self) -> None:
        self._protected: set[str] = set()

    def path_of(self, uri: str) -> str:
        from fsspec.implementations.local import LocalFileSystem

        return str(LocalFileSystem._strip_protocol(uri))  # the only place where fsspec has this

    def uri(self, path: str) -> str:
        return path

    def normalize(self, path: str) -> str:
        return os.path.abspath(path)

    def joined(self, folder: str, name: str) -> str:
        return os.path.join(folder, name)

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
        from fsspec.implementations.local import LocalFileSystem

        found = map(self.file_at, LocalFileSystem().glob(pattern))
        return [file for file in found if file]

    def find(self, folder: str, follow: bool) -> list[FileInfo]:
        if not follow and os.path.islink(folder):
            raise linked(folder)
        if not os.path.isdir(folder):
            return []
        entries = _walk(folder, follow)
        return [_info(entry.path, entry.stat(follow_symlinks=follow)) for entry in entries]

    def entries(self, folder: str) -> list[tuple[str, FileInfo | None]]:
        with os.scandir(folder) as found:
            return [(entry.name, _entry(entry)) for entry in found]

    def protect(self, folder: str) -> None:
        self._protected.add(os.path.abspath(folder))

    def _check(self, path: str) -> None:
        """Raises an OutputError if a change of `path` would go through a link in an output."""
        if not self._protected:
            return
        folder, between = os.path.dirname(path), []
        while folder not in self._protected:
            between.append(folder)
            above = os.path.dirname(folder)
            if above == folder:
                return
            folder = above
        if os.pardir in path.split(os.sep):
            raise outside(path)
        for one in reversed(between):
            if os.path.islink(one):
                raise linked(one)

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

    @contextlib.contextmanager
    def staged(self, path: str, scratch: str) -> Iterator[IO[bytes]]:
        partial = os.path.join(scratch, uuid.uuid4().hex)
        self._check(partial)
        with explained(path):
            opened = _begin(partial)
            try:
                with opened as file:
                    yield file
            finally:
                with contextlib.suppress(FileNotFoundError):  # it has got its name
                    os.unlink(partial)

    def place(self, staged: IO[bytes], path: str) -> None:
        self._check(path)
        staged.close()
        _in_folder(path, lambda: os.replace(staged.name, path))

    def place_new(self, staged: IO[bytes], path: str, written: Written) -> None:
        try:
            found = os.lstat(path)  # a link is replaced, whatever it leads to
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if not (found and stat.S_ISREG(found.st_mode) and self.holds(path, written)):
            self.place(staged, path)

    def create(self, path: str, data: bytes) -> bool:
        self._check(path)
        partial = f"{path}.{uuid.uuid4().hex}"
        with explained(path):
            with _begin(partial) as file:
                file.write(data)
            try:
                _link(partial, path, data)
            except FileExistsError:
                return False
            finally:
                os.unlink(partial)
        return True

    def move(self, path: str, target: str) -> None:
        self._check(path)
        self._check(target)
        with explained(target):
            try:
                _in_folder(target, lambda: os.replace(path, target))
            except FileNotFoundError:
                if not os.path.exists(target):
                    raise

    def remove_file(self, path: str) -> None:
        self._check(path)
        if os.path.isdir(path) and not os.path.islink(path):
            return
        with explained(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)

    def remove(self, path: str) -> None:
        self._check(path)
        if os.path.isdir(path) and not os.path.islink(path):
            with explained(path):
                shutil.rmtree(path)
        else:
            self.remove_file(path)

    def prune(self, folder: str) -> None:
        self._check(folder)
        if os.path.islink(folder):
            return
        for path, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(path)


def _info(path: str, found: os.stat_result) -> FileInfo:
    return FileInfo(path, found.st_size, str(found.st_mtime))


def _entry(entry: os.DirEntry[str]) -> FileInfo | None:
    if entry.is_dir():
        return None
    try:
        return _info(entry.path, entry.stat())
    except FileNotFoundError:  # a link that leads nowhere
        return FileInfo(entry.path, 0, "")


def _walk(
    folder: str, follow: bool, above: tuple[tuple[int, int], ...] = ()
) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder. `above` ends a circle of links: device and inode on the way."""
    if follow:
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        above = (*above, here)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=follow):
                yield from _walk(entry.path, follow, above)
            elif entry.is_file(follow_symlinks=follow) or (not follow and entry.is_symlink()):
                yield entry


def _in_folder(path: str, change: Callable[[], T]) -> T:
    """Makes a change, and again after it made the folders above `path` if they are missing."""
    try:
        return change()
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return change()


def _begin(path: str) -> BinaryIO:
    return _in_folder(path, lambda: open(path, "wb"))


def _link(partial: str, path: str, data: bytes) -> None:
    try:
        os.link(partial, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links only one process gets the name, but the file does not appear whole.
        with open(path, "xb") as file:
            file.write(data)
