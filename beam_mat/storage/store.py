"""The base class of the stores, and the values and errors that cross it.

`beam_mat.storage.stores.locate` finds the store of a URI. It is the only place that asks for the
kind of a store. Everything else calls the methods below.

Every change of an output goes through one of the methods that `CHANGES` names. A method in that
list never changes two files at once: a process that dies in it leaves each file whole or absent.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Any, Protocol

import msgspec

from beam_mat.core.errors import OutputError, SourceError

READ_BLOCK = 1 << 20
"""Bytes of one block of `Store.read_blocks`, at most."""

IsWhole = Callable[[str, bytes], bool]
"""Takes a URI and its content. Says from the content whether it is complete: a hash, a grammar."""

CHANGES = ("place", "create", "move", "remove_file", "remove", "prune")
"""The methods of a `Store` that change it. `place_new` changes it through these."""


class FileInfo(msgspec.Struct, frozen=True):
    """A file as it was found: `version` changes when its content does."""

    uri: str
    size: int
    version: str


class Written(msgspec.Struct, frozen=True):
    """The size and the SHA-256 of a finished file."""

    bytes: int
    sha256: str


class Store(Protocol):
    """A kind of store. A `path` is a file's name inside the store.

    Methods without a docstring do what the function of this name in `files` says. Lists are in any
    order. A remote store retries requests that failed for a reason that may pass. Every method
    raises a `StoreError` when it gives up.
    """

    near: bool = True
    """Whether a read answers at once and in full, because there is no network in between.

    Other stores get several requests at once (`requests.results`).
    """

    local: bool = False
    """Whether every process on this machine finds the same files under the same paths."""

    read_only: bool = False

    def path_of(self, uri: str) -> str:
        """The path of a URI in this store."""

    def uri(self, path: str) -> str:
        """The URI of a path."""

    def joined(self, folder: str, name: str) -> str:
        """The path of a name in a folder. On a disk an absolute name stays what it is."""

    def normalize(self, path: str) -> str: ...
    def exists(self, path: str) -> bool: ...
    def is_folder(self, path: str) -> bool: ...
    def file_at(self, path: str) -> FileInfo | None: ...
    def info(self, path: str) -> FileInfo: ...
    def find(self, folder: str, follow: bool) -> list[FileInfo]: ...
    def entries(self, folder: str) -> list[tuple[str, FileInfo | None]]: ...
    def read_bytes(self, path: str, is_whole: IsWhole | None = None) -> bytes: ...
    def read_range(self, path: str, start: int, end: int) -> bytes: ...
    def read_blocks(self, path: str, start: int, end: int) -> Iterator[bytes]: ...
    def open_binary(self, path: str) -> Any: ...
    def create(self, path: str, data: bytes) -> bool: ...
    def move(self, path: str, target: str) -> None: ...
    def remove_file(self, path: str) -> None: ...
    def remove(self, path: str) -> None: ...
    def prune(self, folder: str) -> None: ...

    def glob(self, pattern: str) -> list[FileInfo]:
        """The files that match a pattern."""

    def staged(self, path: str, scratch: str) -> AbstractContextManager[IO[bytes]]:
        """Collects the content of `path` under no name that readers look at.

        The block calls `place` or `place_new` when the content is complete. Otherwise the content
        is dropped at the end of the block. Only a disk needs the folder `scratch`.
        """

    def place(self, staged: IO[bytes], path: str) -> None:
        """Gives staged content its name. It appears whole, and replaces a file of that name."""

    def place_new(self, staged: IO[bytes], path: str, written: Written) -> None:
        """As `place`, but leaves a file alone that holds exactly this content already."""

    def write_new(self, path: str, data: bytes, written: Written, scratch: str) -> None:
        """Writes a small file, whose size and hash are known, unless it is there."""
        with self.staged(path, scratch) as staged:
            staged.write(data)
            self.place_new(staged, path, written)

    def protect(self, folder: str) -> None:
        """See `files.protect`. Only a disk has links."""
        del folder

    def link_in(self, path: str, within: str) -> str | None:
        """The first symbolic link on the way from the folder `within` to `path`, if there is one.

        `within` itself may be a link; `path` counts. Only a disk has links.
        """
        del path, within
        return None

    def holds(self, path: str, written: Written) -> bool:
        """Whether a file has this size and SHA-256. It is read only if the size is right."""
        found = self.file_at(path)
        if found is None or found.size != written.bytes:
            return False
        digest = hashlib.sha256()
        try:
            for block in self.read_blocks(path, 0, written.bytes):
                digest.update(block)
        except (FileNotFoundError, SourceError):  # another process removed or replaced it meanwhile
            return False
        return digest.hexdigest() == written.sha256


def shrunk(uri: str, start: int, end: int, came: int) -> SourceError:
    """The error for a file that is shorter than it was: `came` bytes of a range were read."""
    return SourceError(
        f"{uri}: bytes {start} to {end} should be read, but only {came} are there; "
        "the file changed while it was read: run the command again"
    )


def outside(path: str) -> OutputError:
    """The error for a change of a path that leads out of its output folder."""
    return OutputError(
        f"{path!r}: contains '..', and nothing outside of an output folder is changed; a file of "
        "this dataset has been edited: restore it, or choose another output folder"
    )


def linked(link: str) -> OutputError:
    """The error for a symbolic link in an output: there may be foreign files behind it."""
    return OutputError(
        f"{link}: is a symbolic link, and nothing is changed behind a link in an output folder; "
        "replace it with a folder, or choose another output folder"
    )
