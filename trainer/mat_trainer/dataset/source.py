"""A folder anywhere that fsspec reaches, read by paths below it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from mat_trainer.core.errors import ConfigError, UnreachableError

_DRIVERS = {
    "gs": "pip install 'mat-trainer[gcp]'",
    "gcs": "pip install 'mat-trainer[gcp]'",
    "s3": "pip install 'mat-trainer[s3]'",
    "s3a": "pip install 'mat-trainer[s3]'",
    "hf": "pip install huggingface_hub",
    "abfs": "pip install adlfs",
    "az": "pip install adlfs",
}
_USER = re.compile(r"(://)[^/@\s]*@")
_QUERY = re.compile(r"(://[^\s?'\"]*)\?[^\s'\"]*")


def shown(text: str) -> str:
    """A URI, or a message with URIs, without users' names, passwords and signatures.

    >>> shown("no https://me:secret@host/a/mat?signature=abc here")
    'no https://host/a/mat here'
    """
    return _QUERY.sub(r"\1", _USER.sub(r"\1", text))


def told(error: Exception) -> str:
    """An error of a driver in one short line."""
    return shown(f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])


class Source:
    """A dataset's folder. Several threads may read from one.

    Args:
        uri: A local path or any address that fsspec knows.

    Attributes:
        uri: As given, fit for messages.
        local: The folder when it is on this machine's own file system, else None.

    Raises:
        ConfigError: The protocol is not known.
        UnreachableError: Its driver is not installed.
    """

    def __init__(self, uri: str) -> None:
        self._address = uri
        self.uri = shown(uri)
        try:
            self._fs, root = url_to_fs(uri)
        except ImportError as error:
            protocol = uri.partition("://")[0]
            cure = _DRIVERS.get(protocol, "install the package that it names")
            raise UnreachableError(
                [f"{self.uri}: {protocol}:// needs a driver that is not here ({error}): {cure}"]
            ) from None
        except ValueError as error:
            raise ConfigError(
                [f"{self.uri}: {error}; give a local folder, gs://… or s3://…"]
            ) from None
        self._root = str(root).rstrip("/")
        is_local = isinstance(self._fs, LocalFileSystem)
        self.local: Path | None = Path(self._root or "/").absolute() if is_local else None

    def read(self, path: str) -> bytes:
        """A small file whole.

        Raises:
            FileNotFoundError: It is not there.
        """
        data: bytes = self._here().cat_file(f"{self._root}/{path}")
        return data

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Bytes ``[start, end)`` of a file, as they came: the caller counts them."""
        data: bytes = self._here().cat_file(f"{self._root}/{path}", start=start, end=end)
        return data

    def has(self, path: str) -> bool:
        """Whether a file is there, asked of the store itself.

        A store that does not let its files be listed says of one that is not there that it may not
        be read.
        """
        try:
            self.read_range(path, 0, 1)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False
        return True

    def _here(self) -> Any:
        # Drivers that speak asyncio are made for many threads. Of others each thread has its own:
        # fsspec keeps one a thread.
        return self._fs if self._fs.async_impl else url_to_fs(self._address)[0]
