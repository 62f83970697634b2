"""Stores that a driver of fsspec reaches: behind a network, in memory, and the hub.

Every answer is checked, and every request is retried.
"""

import contextlib
import copy
import functools
import io
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from glob import has_magic
from typing import IO, Any, BinaryIO, NoReturn, TypeVar

from fsspec.spec import make_instance

from beam_mat.core.errors import OutputError, SourceError
from beam_mat.storage.requests import ShortBodyError, cause_of, insist, results
from beam_mat.storage.store import READ_BLOCK, FileInfo, IsWhole, Store, Written, shrunk

T = TypeVar("T")

READ_PIECE = 8 << 20
"""Bytes of one request when a long stretch is read in several."""

SEND_PIECE = 16 << 20
"""Longer files are collected on disk instead of in memory, and sent in pieces of this size."""

CREATE_BYTES = 256 << 10
"""A file of at most this size is sent before anyone looks whether it is there: if it is, sending
this much in vain costs less than asking first costs all the others."""

_VERSIONS = "generation etag ETag blob_id mtime LastModified last_modified created".split()
"""What drivers call the version of a file: `generation` is Google's, `blob_id` the hub's."""

_creating = threading.Lock()


class RemoteStore(Store):
    """An object store. A file appears when its upload is complete.

    `pieces` are arguments of the driver's `put_file` that bound how much of a file it holds.
    """

    near = False

    def __init__(self, fs: Any, pieces: Mapping[str, int] | None = None) -> None:
        self._fs = fs
        self._pieces = dict(pieces or {})

    def path_of(self, uri: str) -> str:
        return _path_of(self._fs._strip_protocol, uri)

    def uri(self, path: str) -> str:
        return str(self._fs.unstrip_protocol(path))

    def normalize(self, path: str) -> str:
        return self.uri(path).rstrip("/")

    def joined(self, folder: str, name: str) -> str:
        return f"{folder.rstrip('/')}/{name}"

    def ask(self, path: str, question: Callable[[], T]) -> T:
        """The store's answer, not the driver's memory: other processes write here as well."""

        def ask() -> T:
            self._fs.invalidate_cache()
            return question()

        return insist(self.uri(path), ask)

    def exists(self, path: str) -> bool:
        return self._entry(path) is not None

    def is_folder(self, path: str) -> bool:
        entry = self._entry(path)
        return entry is not None and entry["type"] == "directory"

    def file_at(self, path: str) -> FileInfo | None:
        entry = self._entry(path)
        return self._info(entry) if entry and entry["type"] == "file" else None

    def info(self, path: str) -> FileInfo:
        return self._info(self.ask(path, lambda: self._fs.info(path)))

    def _entry(self, path: str) -> dict[str, Any] | None:
        # The drivers' own exists() and isdir() answer no when the store is down.
        with contextlib.suppress(FileNotFoundError):
            return dict(self.ask(path, lambda: self._fs.info(path)))
        return None

    def _info(self, entry: dict[str, Any]) -> FileInfo:
        version = next((str(entry[key]) for key in _VERSIONS if entry.get(key)), "")
        return FileInfo(self.uri(str(entry["name"])), int(entry["size"]), version)

    def _infos(self, listed: dict[str, dict[str, Any]]) -> list[FileInfo]:
        # The consoles of object stores mark a folder with an empty object whose name ends in a
        # slash.
        return [
            self._info(entry)
            for entry in listed.values()
            if entry["type"] == "file" and not entry["name"].endswith("/")
        ]

    def glob(self, pattern: str) -> list[FileInfo]:
        return self._infos(self.ask(pattern, lambda: self._fs.glob(pattern, detail=True)))

    def find(self, folder: str, follow: bool) -> list[FileInfo]:
        del follow  # there are no links
        with contextlib.suppress(FileNotFoundError):
            root = folder.rstrip("/")
            return self._infos(self.ask(folder, lambda: self._fs.find(root, detail=True)))
        return []

    def entries(self, folder: str) -> list[tuple[str, FileInfo | None]]:
        found: list[tuple[str, FileInfo | None]] = []
        for entry in self.ask(folder, lambda: self._fs.ls(folder, detail=True)):
            path = str(entry["name"]).rstrip("/")
            name = path.rsplit("/", 1)[-1]
            if name and path != folder.rstrip("/"):  # an entry may stand for the folder itself
                found.append((name, None if entry["type"] == "directory" else self._info(entry)))
        return found

    def read_bytes(self, path: str, is_whole: IsWhole | None = None) -> bytes:
        if is_whole:
            uri = self.uri(path)
            data: bytes = insist(uri, lambda: self._fs.cat_file(path))
            if is_whole(uri, data):
                return data
        return self.read_range(path, 0, self.info(path).size)

    def read_range(self, path: str, start: int, end: int) -> bytes:
        if end <= start:
            return b""
        return insist(self.uri(path), lambda: self._answer(path, start, end))

    def _answer(self, path: str, start: int, end: int) -> bytes:
        """Tries once to read a range."""
        failure: Exception
        try:
            # Drivers take a body that ends early for complete if its own header says nothing else.
            options = self._range_options(end)
            data: bytes = self._fs.cat_file(path, start=start, end=end, **options)
            if len(data) == end - start:
                return data
            failure = ShortBodyError(f"{len(data)} of {end - start} bytes from byte {start}")
        except FileNotFoundError as error:
            raise SourceError(
                f"{self.uri(path)}: was there when the job began and is gone; restore the file and "
                "run the command again"
            ) from cause_of(error)
        except Exception as error:  # noqa: BLE001  # `insist` judges it
            failure = error
        # Each store has its own way to say that a range is beyond the end.
        size = self.info(path).size
        if size < end:
            uri = self.uri(path)
            raise shrunk(uri, start, end, max(0, size - start)) from cause_of(failure)
        raise failure

    def _range_options(self, end: int) -> dict[str, Any]:
        """More arguments of the driver's `cat_file` for a range that ends here."""
        del end
        return {}

    def read_blocks(self, path: str, start: int, end: int) -> Iterator[bytes]:
        begins = range(start, end, READ_PIECE)
        pieces = ((at, min(at + READ_PIECE, end)) for at in begins)
        calls = ((stop - at, partial(self._read_in_thread, path, at, stop)) for at, stop in pieces)
        for piece in results(calls, self.near):
            for at in range(0, len(piece), READ_BLOCK):
                yield piece[at : at + READ_BLOCK]

    def _read_in_thread(self, path: str, start: int, end: int) -> bytes:
        # fsspec makes some file systems for one thread only.
        own = copy.copy(self)
        own._fs = make_instance(type(self._fs), self._fs.storage_args, self._fs.storage_options)
        return own.read_range(path, start, end)

    def open_binary(self, path: str) -> BinaryIO:
        return io.BytesIO(self.read_bytes(path))

    @contextlib.contextmanager
    def staged(self, path: str, scratch: str) -> Iterator[IO[bytes]]:
        # If a file were opened on the store, closing it could create a partial file after an
        # error, and an upload could not be repeated.
        del path, scratch
        with tempfile.SpooledTemporaryFile(SEND_PIECE) as file:
            yield file

    def place(self, staged: IO[bytes], path: str) -> None:
        if staged.tell() <= SEND_PIECE:
            data = _content(staged)
            insist(self.uri(path), lambda: self._fs.pipe_file(path, data))
            return
        with _named(staged) as name:
            insist(self.uri(path), lambda: self._fs.put_file(name, path, **self._pieces))

    def place_new(self, staged: IO[bytes], path: str, written: Written) -> None:
        if written.bytes <= CREATE_BYTES:
            there = self.create(path, _content(staged))
        else:
            there = self.holds(path, written)
        if not there:
            self.place(staged, path)

    def create(self, path: str, data: bytes) -> bool:
        try:
            insist(self.uri(path), lambda: self._fs.pipe_file(path, data, mode="create"))
        except FileExistsError:
            # This may be the answer to a second attempt after the first one's was lost.
            try:
                return self.read_bytes(path) == data
            except (FileNotFoundError, SourceError):  # the other writer has removed it
                return False
        return True

    def move(self, path: str, target: str) -> None:
        try:
            self.ask(path, lambda: self._fs.cp_file(path, target))
        except FileNotFoundError:
            if not self.exists(target):
                raise
        else:
            self.remove_file(path)

    def remove_file(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.ask(path, lambda: self._fs.rm_file(path))

    def remove(self, path: str) -> None:
        if has_magic(path):
            # The driver's rm() would remove everything that matches.
            for name in self.ask(path, lambda: self._fs.find(path)):
                self.ask(path, partial(self._fs.rm_file, name))
            return
        with contextlib.suppress(FileNotFoundError):
            self.ask(path, lambda: self._fs.rm(path, recursive=True))

    def prune(self, folder: str) -> None:
        del folder  # there are no folders


class MemoryStore(RemoteStore):
    """fsspec's files in memory, for tests and examples: like an object store without threads."""

    near = True

    def path_of(self, uri: str) -> str:
        # The driver leaves a name with :: as it is, so it would have several spellings.
        path = uri.removeprefix("memory://").strip("/")
        return f"/{path}" if path else ""

    def glob(self, pattern: str) -> list[FileInfo]:
        # A listing has the time in another form than a look-up, so the versions would differ.
        return [file for file in map(self.file_at, self._fs.glob(pattern)) if file]

    def entries(self, folder: str) -> list[tuple[str, FileInfo | None]]:
        found = super().entries(folder)
        return [(name, file and self.info(self.joined(folder, name))) for name, file in found]

    def place(self, staged: IO[bytes], path: str) -> None:
        self._fs.pipe_file(path, _content(staged))  # put_file would make folders

    def create(self, path: str, data: bytes) -> bool:
        with _creating:
            return super().create(path, data)


class HubStore(RemoteStore):
    """Hugging Face's hub, which is only read. Every change is refused with an `OutputError`."""

    read_only = True

    def _range_options(self, end: int) -> dict[str, Any]:
        # The driver reads megabytes ahead, and asks for the size first if it does not get one.
        return {"cache_type": "none", "size": end}

    def _refuse(self, *arguments: Any, **named: Any) -> NoReturn:
        path = next(one for one in (*arguments, *named.values()) if isinstance(one, str))
        raise OutputError(
            f"{self.uri(path)}: the hub is read only to beam-mat; choose another output folder"
        )

    staged = place = place_new = create = move = remove_file = remove = prune = _refuse


@functools.lru_cache(1 << 14)
def _path_of(strip_protocol: Callable[[str], str], uri: str) -> str:
    # Each file is located several times, and most drivers take microseconds for this.
    return str(strip_protocol(uri))


def _content(staged: IO[bytes]) -> bytes:
    staged.seek(0)
    return staged.read()


@contextlib.contextmanager
def _named(staged: IO[bytes]) -> Iterator[str]:
    """A name under which a driver can open a temporary file, which has none on Linux.

    Such a file cannot outlive the process.
    """
    staged.flush()
    name = f"/proc/self/fd/{staged.fileno()}"
    if os.path.exists(name):
        yield name
        return
    with tempfile.NamedTemporaryFile(prefix="beam-mat-") as copied:
        staged.seek(0)
        shutil.copyfileobj(staged, copied)
        copied.flush()
        yield copied.name
