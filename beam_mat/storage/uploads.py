"""Files on their way to an object store: held back until they are whole."""

from __future__ import annotations

import io
import os
import tempfile
from types import TracebackType
from typing import IO, Any

from beam_mat.storage import stores
from beam_mat.storage.retry import insist

PIECE_BYTES = 16 << 20
"""What a file may take in memory; a longer one waits on disk and is sent in pieces of this size."""

_OPEN_FILES = "/proc/self/fd"


class Upload:
    """Takes a file's bytes, and sends them when there are no more.

    A file opened on an object store may appear when it is closed though the work on it has failed,
    and cannot be begun again when the store fails in the middle. One that is held here appears
    whole or not at all, and is sent as often as it takes.
    """

    def __init__(self) -> None:
        self._memory = io.BytesIO()
        self._disk: IO[bytes] | None = None

    def write(self, data: memoryview) -> int:
        """Takes all of `data`."""
        if self._disk is None:
            if self._memory.tell() + data.nbytes <= PIECE_BYTES:
                return self._memory.write(data)
            self._disk = _on_disk()
            self._disk.write(self._memory.getbuffer())
            self._memory = io.BytesIO()
        return self._disk.write(data)

    def send(self, uri: str, fs: Any, path: str) -> None:
        """Puts the file in its place.

        Raises:
            StoreError: The store failed again and again.
        """
        if self._disk is None:
            data = self._memory.getvalue()
            insist(uri, lambda: fs.pipe_file(path, data))
            return
        self._disk.flush()
        name = _name_of(self._disk)
        pieces = stores.piece_options(fs, PIECE_BYTES)
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
    """A file without a name, where the system has such: nothing of it outlives the process."""
    if os.path.isdir(_OPEN_FILES):
        return tempfile.TemporaryFile()
    return tempfile.NamedTemporaryFile(prefix="beam-mat-")


def _name_of(file: IO[bytes]) -> str:
    """By what a driver can open it."""
    return f"{_OPEN_FILES}/{file.fileno()}" if os.path.isdir(_OPEN_FILES) else file.name
