"""Remembers which files were verified, so that the next run need not read them again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import msgspec

from mat_trainer.core.manifest import Manifest
from mat_trainer.dataset.entry import File


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    bytes: int
    mtime_ns: int
    ctime_ns: int


class Ledger:
    """Remembers size and times of change of each verified file, by its path and hash.

    A file whose size or times differ now is no longer known. The ledger is in the cache, never in
    the dataset.

    Args:
        path: The ledger's file; a damaged one counts as none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, _Seen] = {}
        self._has_news = False
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            self._seen = msgspec.json.decode(path.read_bytes(), type=dict[str, _Seen])

    def knows(self, file: File, status: os.stat_result) -> bool:
        """Whether this file was verified and has not been touched since."""
        return self._seen.get(_key(file)) == _look(status)

    def note(self, file: File, status: os.stat_result) -> None:
        """Takes a note of a verified file."""
        self._seen[_key(file)] = _look(status)
        self._has_news = True

    def save(self) -> None:
        """Writes the ledger, whole or not at all, if there are new notes."""
        if self._has_news:
            write_whole(self._path, msgspec.json.encode(self._seen))
            self._has_news = False


def _key(file: File) -> str:
    # All generations at an address share a ledger, and another dataset may begin there.
    return f"{file.sha256} {file.path}"


def _look(status: os.stat_result) -> _Seen:
    return _Seen(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def path_of(cache: Path, folder: Path, manifest: Manifest) -> Path:
    """The file of the ledger for a dataset in a folder."""
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return cache / "verified" / f"{manifest.digest[:16]}-{place}.json"


def write_whole(path: Path, data: bytes) -> None:
    """Writes a small file, which appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
