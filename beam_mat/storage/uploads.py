"""Collects the content of a file and uploads it to an object store when it is complete."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import IO, Any

from beam_mat.storage.retry import insist

PIECE_BYTES = 16 << 20
"""Longer files are collected on disk instead of in memory, and sent in pieces of this size."""

_OPEN_FILES = "/proc/self/fd"
_NO_OPTIONS: Mapping[str, int] = MappingProxyType({})


class Upload:
    """Collects the content of a file and sends it when it is complete.

    If a file were opened on the store, closing it could create a partial file after an error, and
    an upload could not be repeated. Collected content is uploaded completely or not at all, and
    the upload can be repeated.
    """

    def __init__(self) -> None:
        self._memory = io.BytesIO()
        self._disk: IO[bytes] | None = None

    def write(self, data: memoryview) -> int:
        """Appends all of `data`."""
        if self._disk is None:
            if self._memory.tell() + data.nbytes <= PIECE_BYTES:
                return self._memory.write(data)
            self._disk = _on_disk()
            self._disk.write(self._memory.getbuffer())
            self._memory = io.BytesIO()
        return self._disk.write(data)

    def content(self) -> bytes:
        """Returns the content of a file that fits in memory."""
        return self._memory.getvalue()

    def send(self, uri: str, fs: Any, path: str, pieces: Mapping[str, int] = _NO_OPTIONS) -> None:
        """Sends the file.

        Args:
            uri: Its URI, for messages.
            fs: The driver.
            path: Its path in the store.
            pieces: Arguments of the driver's `put_file`, if the file is sent in pieces.

        Raises:
            StoreError: The store failed repeatedly.
        """
        if self._disk is None:
            data = self._memory.getvalue()
            insist(uri, lambda: fs.pipe_file(path, data))
            return
        self._disk.flush()
        name = _name_of(self._disk)
        insist(uri, lambda: fs.put_file(name, path, **pieces))

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._memory.close()
        if self._disk is not None:
            self._disk.close()


def _on_disk() -> IO[bytes]:
    """Opens a file without a name if possible, so that it cannot outlive the process."""
    if os.path.isdir(_OPEN_FILES):
        return tempfile.TemporaryFile()
    return tempfile.NamedTemporaryFile(prefix="beam-mat-")


def _name_of(file: IO[bytes]) -> str:
    """Returns a name with which a driver can open the file."""
    return f"{_OPEN_FILES}/{file.fileno()}" if os.path.isdir(_OPEN_FILES) else file.name
