"""fsspec's files in memory, for tests and examples."""

from __future__ import annotations

import threading
from typing import IO

from beam_mat.storage.remote_store import RemoteStore
from beam_mat.storage.store import FileInfo, IsWhole, Store

_creating = threading.Lock()


class MemoryStore(RemoteStore):
    """Files in the memory of this process, reached like an object store, but without threads."""

    near = True
    results = Store.results
    begin = Store.begin

    def glob(self, pattern: str) -> list[FileInfo]:
        # A listing has the time in another form than a look-up, so the versions would differ.
        return [file for file in map(self.file_at, self._fs.glob(pattern)) if file]

    def read_bytes(self, path: str, is_whole: IsWhole | None = None) -> bytes:
        del is_whole  # memory never returns half a file
        data: bytes = self._fs.cat_file(path)
        return data

    def place(self, staged: IO[bytes], path: str) -> None:
        staged.seek(0)
        self._fs.pipe_file(path, staged.read())  # put_file would make folders

    def create(self, path: str, data: bytes) -> bool:
        with _creating:
            return super().create(path, data)
