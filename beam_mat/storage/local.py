"""The local file system: files that appear whole by being renamed or linked into their place."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from beam_mat.core.errors import OutputError

_REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file grew larger than this process may write",
    errno.EACCES: "there is no permission",
    errno.EPERM: "there is no permission",
    errno.EROFS: "the file system is read only",
}
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)


def walk(folder: str, above: tuple[tuple[int, int], ...] = ()) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder, symbolic links to files and folders followed.

    Args:
        folder: Where to look.
        above: Device and inode of the folders on the way here.
    """
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:  # a link back to a folder on the way here
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from walk(entry.path, (*above, here))
            elif entry.is_file():
                yield entry


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Tells in one sentence why the system would not let the block write.

    Raises:
        OutputError: It was for want of space or of permission.
    """
    try:
        yield
    except OSError as error:
        why = _REFUSALS.get(error.errno or 0)
        if why is None:
            raise
        raise OutputError(
            f"{error.filename2 or error.filename or path}: {why} ({error.strerror}); mend that and "
            "run the same command again, which goes on from here"
        ) from error


def begin(path: str) -> BinaryIO:
    """Opens a file for writing; makes the folders above it where they are missing."""
    try:
        return open(path, "wb")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "wb")


def place(partial: str, path: str) -> None:
    """Moves a whole file to its name; makes the folders above it where they are missing."""
    try:
        os.replace(partial, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(partial, path)


def create(path: str, data: bytes) -> None:
    """Writes a file that is not there yet.

    Raises:
        FileExistsError: It is there.
    """
    partial = f"{path}.{uuid.uuid4().hex}"
    with begin(partial) as file:
        file.write(data)
    try:
        os.link(partial, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: the name is taken by one alone, if not whole at once.
        with open(path, "xb") as file:
            file.write(data)
    finally:
        os.unlink(partial)


def prune(folder: str) -> None:
    """Removes a folder, and those in it, as far as there is no file in them."""
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # it is not empty
            os.rmdir(path)


def remove_file(path: str) -> None:
    """Removes a file; what is not there, or is a folder, stays as it is."""
    if os.path.isdir(path) and not os.path.islink(path):
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def remove_empty_above(path: str, top: str) -> None:
    """Removes the folders that `path` lay in, up to below `top`, as far as they are empty."""
    folder = os.path.dirname(path)
    while folder.startswith(f"{top}{os.sep}"):
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)


def remove(path: str) -> None:
    """Removes a file or a whole folder; what is not there is fine."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        remove_file(path)
