"""Files anywhere that fsspec reaches: found, read in ranges, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, BinaryIO

import msgspec
from fsspec.implementations.local import LocalFileSystem

from beam_mat.core.errors import SourceError
from beam_mat.storage import ahead, local, stores
from beam_mat.storage.retry import ShortBodyError, cause_of, insist
from beam_mat.storage.stores import locate, range_options
from beam_mat.storage.uploads import Upload

READ_BLOCK = 1 << 20

Range = tuple[str, int, int]
"""A file's uri, and the bytes ``[start, end)`` of it."""

IsWhole = Callable[[str, bytes], bool]
"""Whether what came of a file is all of it, told by the content itself: a hash, a grammar."""

PIECE = 8 << 20
"""Bytes of one request to a store where a long stretch is read in several."""


class FileInfo(msgspec.Struct, frozen=True):
    """A file as it was found: `version` changes when its content does."""

    uri: str
    size: int
    version: str


class Written(msgspec.Struct, frozen=True):
    """What a finished file holds."""

    bytes: int
    sha256: str


def normalize(uri: str) -> str:
    """The same place however it was spelled: local paths absolute, no trailing slash.

    >>> normalize("memory://a/b/")
    'memory:///a/b'
    """
    fs, path = locate(uri)
    if isinstance(fs, LocalFileSystem):
        return os.path.abspath(path)
    return str(fs.unstrip_protocol(path)).rstrip("/")


def join(folder: str, *names: str) -> str:
    """A file's uri below a folder's uri."""
    return "/".join([folder.rstrip("/"), *names])


def is_near(uri: str) -> bool:
    """Whether a file is read at once and never in part: on this machine, no network between."""
    return stores.is_near(locate(uri)[0])


def is_read_only(uri: str) -> bool:
    """Whether nothing can be written there, whoever asks."""
    return stores.is_hub(locate(uri)[0])


def exists(uri: str) -> bool:
    """Whether a file or folder is there."""
    fs, path = locate(uri)
    return bool(fs.exists(path)) if stores.is_near(fs) else _entry(uri) is not None


def is_folder(uri: str) -> bool:
    """Whether `uri` names a folder."""
    fs, path = locate(uri)
    if stores.is_near(fs):
        return bool(fs.isdir(path))
    entry = _entry(uri)
    return entry is not None and entry["type"] == "directory"


def file_at(uri: str) -> FileInfo | None:
    """The file of this very name; None where there is a folder, or nothing."""
    fs, path = locate(uri)
    if stores.is_near(fs):
        return _info(fs, fs.info(path)) if fs.isfile(path) else None
    entry = _entry(uri)
    return _info(fs, entry) if entry and entry["type"] == "file" else None


def info(uri: str) -> FileInfo:
    """Looks a file up.

    Raises:
        FileNotFoundError: It is not there.
    """
    fs, path = locate(uri)
    return _info(fs, _ask(uri, lambda: fs.info(path)))


def _entry(uri: str) -> dict[str, Any] | None:
    # The drivers' own exists() and isdir() take an outage for a no.
    fs, path = locate(uri)
    with contextlib.suppress(FileNotFoundError):
        return dict(_ask(uri, lambda: fs.info(path)))
    return None


def _ask(uri: str, question: Callable[[], Any]) -> Any:
    """What a store says now, not what its driver remembers: other processes write there too."""
    fs, _ = locate(uri)
    if stores.is_near(fs):
        return question()

    def ask() -> Any:
        fs.invalidate_cache()
        return question()

    return insist(uri, ask)


_VERSIONS = (
    "generation",  # Google
    "etag",
    "ETag",
    "blob_id",  # Hugging Face's hub
    "mtime",
    "LastModified",
    "last_modified",
    "created",
)


def _info(fs: Any, found: dict[str, Any]) -> FileInfo:
    version = next((str(found[key]) for key in _VERSIONS if found.get(key)), "")
    name = str(found["name"])
    uri = name if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(name))
    return FileInfo(uri, int(found["size"]), version)


def expand(uri: str) -> list[FileInfo]:
    """The files that a uri or glob names, by name. A name that exists is never taken for a glob.

    Raises:
        FileNotFoundError: There is none.
    """
    if file := file_at(uri):
        return [file]
    fs, path = locate(uri)
    if not _is_glob(path):
        raise FileNotFoundError(uri)
    if stores.is_near(fs):
        # A listing tells less than a look at the file itself, and does not say of a symbolic link
        # that it leads to a file.
        files = []
        for name in fs.glob(path):
            with contextlib.suppress(FileNotFoundError):  # it has been removed in this moment
                if fs.isfile(name):
                    files.append(_info(fs, fs.info(name)))
    else:
        entries = _ask(uri, lambda: fs.glob(path, detail=True))
        files = [_info(fs, entry) for entry in entries.values() if _is_file(entry)]
    if not files:
        raise FileNotFoundError(uri)
    return sorted(files, key=lambda file: file.uri)


def _is_file(entry: dict[str, Any]) -> bool:
    # Consoles keep empty objects that end in a slash in the place of folders.
    return entry["type"] == "file" and not entry["name"].endswith("/")


def _is_glob(path: str) -> bool:
    return any(sign in path for sign in "*?[")


def find(folder: str) -> list[tuple[str, FileInfo]]:
    """Every file below a folder, with its path relative to it, sorted by that path.

    A folder that is not there has none. Symbolic links to files and folders are followed.
    """
    fs, root = locate(folder)
    root = root.rstrip("/")
    if isinstance(fs, LocalFileSystem):
        found = [_found(entry) for entry in local.walk(root)] if os.path.isdir(root) else []
    else:
        found = []
        with contextlib.suppress(FileNotFoundError):
            entries = _ask(folder, lambda: fs.find(root, detail=True))
            found = [_info(fs, entry) for entry in entries.values() if _is_file(entry)]
    begin = len(root if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(root)))
    pairs = [(file.uri[begin:].lstrip("/"), file) for file in found]
    return sorted(pairs, key=lambda pair: pair[0])


def _found(entry: os.DirEntry[str]) -> FileInfo:
    status = entry.stat()
    return FileInfo(entry.path, status.st_size, str(status.st_mtime))


def entries(folder: str) -> list[tuple[str, FileInfo | None]]:
    """What lies in a folder itself, by name: a file, or None for a folder in it.

    A symbolic link is what it leads to; one that leads nowhere is a file of no bytes.
    """
    fs, root = locate(folder)
    if isinstance(fs, LocalFileSystem):
        found = [(entry.name, _local_entry(entry)) for entry in os.scandir(root)]
    else:
        found = [
            (_name(entry), None if entry["type"] == "directory" else _info(fs, entry))
            for entry in _ask(folder, lambda: fs.ls(root, detail=True))
            if _name(entry) != "" and str(entry["name"]).rstrip("/") != root.rstrip("/")
        ]
    return sorted(found, key=lambda pair: pair[0])


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]


def _local_entry(entry: os.DirEntry[str]) -> FileInfo | None:
    if entry.is_dir():
        return None
    try:
        found = entry.stat()
    except FileNotFoundError:
        return FileInfo(entry.path, 0, "")
    return FileInfo(entry.path, found.st_size, str(found.st_mtime))


def read_range(uri: str, start: int, end: int) -> bytes:
    """Bytes ``[start, end)`` of a file, all of them.

    Raises:
        SourceError: The file is shorter than it was when it was found, or gone.
        StoreError: The store failed again and again.
    """
    fs, path = locate(uri)
    if stores.is_near(fs):
        data: bytes = fs.cat_file(path, start=start, end=end)
        if len(data) != end - start:
            raise _shrunk(uri, start, end, len(data))
        return data
    return insist(uri, lambda: _answer(uri, start, end)) if end > start else b""


def _answer(uri: str, start: int, end: int) -> bytes:
    """One try to read a range from a store."""
    fs, path = locate(uri)
    failure: Exception
    try:
        # Drivers take a body that ends early for the whole where its own header says no other.
        data: bytes = fs.cat_file(path, start=start, end=end, **range_options(fs, end))
        if len(data) == end - start:
            return data
        failure = ShortBodyError(f"{len(data)} bytes for {end - start} from byte {start}")
    except FileNotFoundError as error:
        raise _gone(uri) from cause_of(error)
    except Exception as error:  # noqa: BLE001  # judged by `insist`
        failure = error
    # Each store has its own way to say that a range lies beyond the end.
    size = info(uri).size
    if size < end:
        raise _shrunk(uri, start, end, max(0, size - start)) from cause_of(failure)
    raise failure


def _shrunk(uri: str, start: int, end: int, came: int) -> SourceError:
    return SourceError(
        f"{uri}: bytes {start} to {end} were asked for, {came} came; "
        "the file changed while it was read: run again"
    )


def _gone(uri: str) -> SourceError:
    return SourceError(f"{uri}: was there when the job began and is gone; bring it back, run again")


def read_ranges(ranges: Iterable[Range]) -> Iterator[bytes]:
    """The bytes of several ranges, in order; of a store, several are on the way at once.

    Errors as in `read_range`.
    """
    far: list[tuple[int, Callable[[], bytes]]] = []
    for uri, start, end in ranges:
        if is_near(uri):
            yield from ahead.ahead(far)
            far = []
            yield read_range(uri, start, end)
        else:
            far.append((end - start, partial(read_range, uri, start, end)))
    yield from ahead.ahead(far)


def read_blocks(uri: str, start: int, end: int) -> Iterator[bytes]:
    """Bytes ``[start, end)`` of a file in blocks of `READ_BLOCK`. Errors as in `read_range`."""
    fs, path = locate(uri)
    if not stores.is_near(fs):
        begins = range(start, end, PIECE)
        for piece in read_ranges((uri, at, min(at + PIECE, end)) for at in begins):
            for at in range(0, len(piece), READ_BLOCK):
                yield piece[at : at + READ_BLOCK]
        return
    with fs.open(path, "rb", block_size=4 * READ_BLOCK) as file:
        file.seek(start)
        at = start
        while at < end:
            block = file.read(min(READ_BLOCK, end - at))
            if not block:
                raise _shrunk(uri, start, end, at - start)
            at += len(block)
            yield block


def open_binary(uri: str) -> Any:
    """Opens a file for reading as a context manager with seek and tell.

    From a store it is read whole at once: this is for small files, and for those that are read
    from end to end.
    """
    fs, path = locate(uri)
    return fs.open(path, "rb") if stores.is_near(fs) else io.BytesIO(read_bytes(uri))


class HashingWriter(io.RawIOBase):
    """Passes bytes on and keeps their count and SHA-256."""

    def __init__(self, target: BinaryIO | Upload) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._bytes = 0

    def writable(self) -> bool:
        """Always: this is a writer."""
        return True

    def write(self, data: Any) -> int:
        """Writes all of `data`."""
        view = memoryview(data)
        self._target.write(view)
        self._hash.update(view)
        self._bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self._bytes

    def result(self) -> Written:
        """What has been written."""
        return Written(self._bytes, self._hash.hexdigest())


@contextlib.contextmanager
def write(uri: str, scratch: str) -> Iterator[HashingWriter]:
    """Writes a file that appears under its name whole, when the block ends, or not at all.

    Writing the same name again replaces it, so that a unit of work that is done twice does no harm.

    Args:
        uri: The file's name.
        scratch: A folder on the same file system for what is not whole yet. Not used on object
            stores, where an upload appears when it is complete; see `Upload`.

    Raises:
        OutputError: There is no space, or no permission.
        StoreError: The store failed again and again.
    """
    fs, path = locate(uri)
    if isinstance(fs, LocalFileSystem):
        partial = os.path.join(normalize(scratch), uuid.uuid4().hex)
        with local.explained(path):
            file = local.begin(partial)
            try:
                with file:
                    writer = HashingWriter(file)
                    yield writer
                local.place(partial, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(partial)
                raise
        return
    if stores.is_near(fs):
        buffer = io.BytesIO()
        yield HashingWriter(buffer)
        fs.pipe_file(path, buffer.getvalue())
        return
    with Upload() as upload:
        yield HashingWriter(upload)
        upload.send(uri, fs, path)


def write_bytes(uri: str, data: bytes, scratch: str) -> Written:
    """Writes a small file whole. See `write`."""
    with write(uri, scratch) as file:
        file.write(data)
    return file.result()


class Outbox:
    """Writes small files, to a store several at once; all are there when the block has ended."""

    def __init__(self) -> None:
        self._sent: list[Future[Written]] = []

    def write_bytes(self, uri: str, data: bytes, scratch: str) -> Written:
        """As `write_bytes`; what goes wrong on a store is raised when the block ends."""
        if is_near(uri):
            return write_bytes(uri, data, scratch)
        self._sent.append(ahead.pool().submit(write_bytes, uri, data, scratch))
        return Written(len(data), hashlib.sha256(data).hexdigest())

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for sent in self._sent:
            if kind is None:
                sent.result()
            else:
                sent.cancel()


def create(uri: str, data: bytes) -> bool:
    """Writes a small file unless there is one: of many who try at once, one succeeds.

    Object stores do this by a precondition (Google's generation 0, S3's If-None-Match); a driver
    that knows none looks first, and two who try in the same moment may both succeed.

    Args:
        uri: The file's name.
        data: What it is to hold. It must tell this writer from all others: where the store's answer
            is lost, what lies there says whose it is.

    Returns:
        Whether this call wrote the file.
    """
    fs, path = locate(uri)
    try:
        if isinstance(fs, LocalFileSystem):
            local.create(path, data)
        elif stores.is_near(fs):
            with _creating:
                fs.pipe_file(path, data, mode="create")
        else:
            insist(uri, lambda: fs.pipe_file(path, data, mode="create"))
    except FileExistsError:
        try:
            return not stores.is_near(fs) and read_bytes(uri) == data
        except (FileNotFoundError, SourceError):  # whoever had it has removed it
            return False
    return True


_creating = threading.Lock()


def read_bytes(uri: str, is_whole: IsWhole | None = None) -> bytes:
    """Reads a small file whole.

    Args:
        uri: The file.
        is_whole: Saves the looks at the file's length: a store is asked for it because an answer
            that ends early may look whole. What `is_whole` says no to is read again with its
            length, and returned whatever it is.

    Raises:
        FileNotFoundError: It is not there.
        StoreError: The store failed again and again.
    """
    fs, path = locate(uri)
    near = stores.is_near(fs)
    if near or is_whole:
        data: bytes = fs.cat_file(path) if near else insist(uri, lambda: fs.cat_file(path))
        if near or (is_whole and is_whole(uri, data)):
            return data
    return read_range(uri, 0, info(uri).size)


def read_each(uris: Iterable[str], is_whole: IsWhole | None = None) -> Iterator[bytes]:
    """Small files whole, in order; of a store, several are on the way at once. See `read_bytes`."""
    far: list[tuple[int, Callable[[], bytes]]] = []
    guess = ahead.BYTES // ahead.REQUESTS
    for uri in uris:
        if is_near(uri):
            yield read_bytes(uri)
        else:
            far.append((guess, partial(read_bytes, uri, is_whole)))
    yield from ahead.ahead(far)


def move(uri: str, target: str) -> None:
    """Gives a file another name; done already, if only the target is there.

    On an object store it is copied there, and has both names for a moment.

    Raises:
        FileNotFoundError: There is neither.
    """
    fs, path = locate(uri)
    to = locate(target)[1]
    try:
        if isinstance(fs, LocalFileSystem):
            with local.explained(to):
                local.place(path, to)
        else:
            _ask(uri, lambda: fs.cp_file(path, to))
            remove(uri)
    except FileNotFoundError:
        if not exists(target):
            raise


def prune(folder: str) -> None:
    """Removes a folder, and those in it, as far as there is no file in them.

    In object stores there are no folders.
    """
    fs, path = locate(folder)
    if isinstance(fs, LocalFileSystem):
        local.prune(path)


def prune_above(uri: str, folder: str) -> None:
    """Removes the folders that a file lay in, up to below `folder`, as far as they are empty."""
    fs, path = locate(uri)
    if isinstance(fs, LocalFileSystem):
        local.remove_empty_above(path, locate(folder)[1])


def remove_file(uri: str) -> None:
    """Removes a file, and no folder; what is not there is fine.

    In a store it is one request, where `remove` takes five to look.
    """
    fs, path = locate(uri)
    if isinstance(fs, LocalFileSystem):
        with local.explained(path):
            local.remove_file(path)
        return
    with contextlib.suppress(FileNotFoundError):
        _ask(uri, lambda: fs.rm_file(path))


def remove(uri: str) -> None:
    """Removes a file or a whole folder; what is not there is fine."""
    fs, path = locate(uri)
    if isinstance(fs, LocalFileSystem):
        with local.explained(path):
            local.remove(path)
    elif _is_glob(path):
        # rm() would remove whatever matches.
        for name in _ask(uri, lambda: fs.find(path)):
            _ask(uri, partial(fs.rm_file, name))
    else:
        with contextlib.suppress(FileNotFoundError):
            _ask(uri, lambda: fs.rm(path, recursive=True))
