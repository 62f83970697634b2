"""A folder anywhere that fsspec reaches, read by paths below it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from mat_trainer.core.errors import ConfigError, UnreachableError

T = TypeVar("T")
ABSENT = (FileNotFoundError, NotADirectoryError)
HIDDEN = (*ABSENT, PermissionError)
"""Some stores answer "forbidden" for an absent file when the caller may not list files."""

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
    """A URI, or a message with URIs, without user names, passwords and signatures.

    >>> shown("no https://me:secret@host/a/mat?signature=abc here")
    'no https://host/a/mat here'
    """
    return _QUERY.sub(r"\1", _USER.sub(r"\1", text))


def described(error: Exception) -> str:
    """A driver's error in one short line."""
    return shown(f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])


class Source:
    """A dataset's folder. Several threads may read from one.

    Args:
        uri: A local path or any address that fsspec knows.

    Attributes:
        uri: The address, fit for messages.
        local: The folder, if it is on this machine's own file system; else None.

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
            cure = _DRIVERS.get(protocol, "install the package that the message names")
            raise UnreachableError(
                f"{self.uri}: the driver for {protocol}:// is not installed ({error}): {cure}"
            ) from None
        except ValueError as error:
            raise ConfigError(
                f"{self.uri}: {error}; pass a local folder, gs://… or s3://…"
            ) from None
        self._root = str(root).rstrip("/")
        is_local = isinstance(self._fs, LocalFileSystem)
        self.local: Path | None = Path(self._root or "/").absolute() if is_local else None

    def read(self, path: str) -> bytes:
        """The content of a small file.

        Raises:
            FileNotFoundError: It does not exist.
        """
        data: bytes = self._here().cat_file(f"{self._root}/{path}")
        return data

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Bytes ``[start, end)`` of a file, as they came: the caller checks how many."""
        data: bytes = self._here().cat_file(f"{self._root}/{path}", start=start, end=end)
        return data

    def find(self, path: str, absent: tuple[type[Exception], ...] = ABSENT) -> bytes | None:
        """The content of a small file; None if it does not exist.

        Raises:
            UnreachableError: The store cannot be read.
        """
        return self._asked(lambda: self.read(path), absent)

    def has(self, path: str) -> bool:
        """Whether a file exists. Errors as in `find`."""
        return self._asked(lambda: self.read_range(path, 0, 1), HIDDEN) is not None

    def names(self, folder: str) -> list[str]:
        """Names in a folder below; none if the store cannot list it, as most web servers cannot."""
        path = f"{self._root}/{folder}"
        try:
            self._here().invalidate_cache(path)
            found = self._here().ls(path, detail=False)
        except Exception:  # noqa: BLE001 each driver has errors of its own
            return []
        return [str(name).rstrip("/").rpartition("/")[2] for name in found]

    def _asked(self, ask: Callable[[], T], absent: tuple[type[Exception], ...]) -> T | None:
        try:
            return ask()
        except absent:
            return None
        except Exception as error:  # noqa: BLE001 each driver has errors of its own
            raise UnreachableError(
                f"{self.uri}: cannot be read ({described(error)}); check the address, the network "
                "and this machine's credentials",
            ) from None

    def _here(self) -> Any:
        # Drivers that use asyncio are made for many threads. For the others each thread needs its
        # own instance; fsspec keeps one for each thread.
        return self._fs if self._fs.async_impl else url_to_fs(self._address)[0]
