"""Operating system calls behind the local store, and errors of the system in plain words."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from beam_mat.core.errors import OutputError

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
    """Turns the system's refusal to write into one sentence.

    Raises:
        OutputError: There is no space or no permission.
    """
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


def walk(
    folder: str, follow: bool, above: tuple[tuple[int, int], ...] = ()
) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder.

    Args:
        folder: The folder.
        follow: Whether symbolic links are followed. If not, each link is yielded as an entry.
        above: Device and inode of the folders on the way here, which ends a circle of links.
    """
    if follow:
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        above = (*above, here)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=follow):
                yield from walk(entry.path, follow, above)
            elif entry.is_file(follow_symlinks=follow) or (not follow and entry.is_symlink()):
                yield entry


def begin(path: str) -> BinaryIO:
    """Opens a file for writing. Makes the folders above it if they are missing."""
    try:
        return open(path, "wb")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "wb")


def replace(partial: str, path: str) -> None:
    """Renames a complete file. Makes the folders above its new name if they are missing."""
    try:
        os.replace(partial, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(partial, path)


def create(path: str, data: bytes) -> None:
    """Writes a file that does not exist yet.

    Raises:
        FileExistsError: It exists.
    """
    partial = f"{path}.{uuid.uuid4().hex}"
    with begin(partial) as file:
        file.write(data)
    try:
        os.link(partial, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links only one process gets the name, but the file does not appear whole.
        with open(path, "xb") as file:
            file.write(data)
    finally:
        os.unlink(partial)


def remove_empty_above(path: str, top: str) -> None:
    """Removes the folders between `top` and `path` as far as they are empty."""
    folder = os.path.dirname(path)
    while folder.startswith(f"{top}{os.sep}"):
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)
