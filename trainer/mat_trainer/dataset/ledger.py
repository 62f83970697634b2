"""What has been verified already, so that the next run need not read it all again."""

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
    """Remembers how each verified file looked, by path and hash: size and times of change.

    A file that looks otherwise now is not known any more. It lies in the cache, never in the
    dataset.

    Args:
        path: Where it is kept; a damaged file counts as none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, _Seen] = {}
        self._has_news = False
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            self._seen = msgspec.json.decode(path.read_bytes(), type=dict[str, _Seen])

    def knows(self, file: File, status: os.stat_result) -> bool:
        """Whether this very file has been verified, and has not been touched since."""
        return self._seen.get(_key(file)) == _look(status)

    def note(self, file: File, status: os.stat_result) -> None:
        """Remembers a file that has been verified."""
        self._seen[_key(file)] = _look(status)
        self._has_news = True

    def save(self) -> None:
        """Writes it, whole or not at all, if there is something to remember."""
        if self._has_news:
            write_whole(self._path, msgspec.json.encode(self._seen))
            self._has_news = False


def _key(file: File) -> str:
    # Several generations of a dataset have one ledger, and an image may change between them.
    return f"{file.sha256} {file.path}"


def _look(status: os.stat_result) -> _Seen:
    return _Seen(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def path_of(cache: Path, folder: Path, manifest: Manifest) -> Path:
    """Where the ledger of a dataset in a folder is kept."""
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return cache / "verified" / f"{manifest.digest[:16]}-{place}.json"


def write_whole(path: Path, data: bytes) -> None:
    """Writes a small file that appears whole under its name, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
