"""Files by their URI, on every store that fsspec reaches.

Each function finds the store of a URI (`beam_mat.storage.stores.locate`) and calls the method that
does the work (`beam_mat.storage.store`). Files are read exactly, and written whole or not at all.
Every function that makes a request raises a `StoreError` if the store fails again and again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from glob import has_magic
from itertools import groupby
from typing import IO, Any, TypeVar

from beam_mat.core.display import one_line
from beam_mat.core.pattern import hides, name_fault
from beam_mat.storage import requests
from beam_mat.storage import store as protocol
from beam_mat.storage.store import IsWhole, linked
from beam_mat.storage.stores import locate

_LOG = logging.getLogger(__name__)

FileInfo = protocol.FileInfo
Written = protocol.Written

T = TypeVar("T")


# Names


def normalize(uri: str) -> str:
    """The one spelling of a URI: local paths are absolute, and there is no slash at the end.

    >>> normalize("memory://a/b/")
    'memory:///a/b'
    """
    store, path = locate(uri)
    return store.normalize(path)


def join(folder: str, *names: str) -> str:
    """The URI of a file below a folder."""
    return "/".join([folder.rstrip("/"), *names])


def is_near(uri: str) -> bool:
    """Whether reads answer at once and in full, because there is no network in between."""
    return locate(uri)[0].near


def local_path(uri: str) -> str | None:
    """The path by which every process on this machine finds the file; None if there is none."""
    store, path = locate(uri)
    return path if store.local else None


def is_read_only(uri: str) -> bool:
    """Whether nobody can write there."""
    return locate(uri)[0].read_only


# Looking files up


def exists(uri: str) -> bool:
    """Whether there is a file or a folder."""
    store, path = locate(uri)
    return store.exists(path)


def is_folder(uri: str) -> bool:
    """Whether there is a folder."""
    store, path = locate(uri)
    return store.is_folder(path)


def file_at(uri: str) -> FileInfo | None:
    """The file with exactly this name, or None if there is a folder or nothing."""
    store, path = locate(uri)
    return store.file_at(path)


def info(uri: str) -> FileInfo:
    """Looks a file up. Raises FileNotFoundError."""
    store, path = locate(uri)
    return store.info(path)


def sizes(uris: Sequence[str]) -> list[int | None]:
    """The size of each file in bytes, or None if it does not exist.

    Each file is looked up by name: its folder may have many others, which a listing would include.
    """
    found = in_order((uri, 0, partial(file_at, uri)) for uri in uris)
    return [file.size if file else None for file in found]


def expand(uri: str) -> list[FileInfo]:
    """The files that a URI or a pattern names, by name. Raises FileNotFoundError if there are none.

    A name that exists is never a pattern. A pattern matches no hidden file (`core.pattern`). Files
    whose names cannot be used are logged and left out.
    """
    store, path = locate(uri)
    if file := store.file_at(path):
        found = [file]
    else:
        pattern = store.normalize(path)
        matches = store.glob(path) if has_magic(path) else []
        found = [file for file in matches if not hides(file.uri, pattern)]
    found = [file for file in found if has_usable_name(file.uri)]
    if not found:
        raise FileNotFoundError(uri)
    return sorted(found, key=lambda file: file.uri)


def has_usable_name(uri: str) -> bool:
    """Whether a file that a store has found can be used. If not, it is logged, once a process."""
    why = name_fault(uri)
    if why:
        _name(one_line(uri), why)
    return not why


@functools.lru_cache(1 << 10)
def _name(uri: str, why: str) -> None:
    _LOG.warning("%s: %s; the file is left out: rename it", uri, why)


def find(folder: str, follow: bool = False) -> list[tuple[str, FileInfo]]:
    """Every file below a folder, with its path relative to the folder, sorted by that path.

    A folder that does not exist has no files. Inputs may be behind symbolic links, which `follow`
    follows. In an output a link is listed as a file, so that whoever removes what is listed removes
    the link and nothing behind it, and an OutputError is raised if the folder itself is a link.
    """
    store, path = locate(folder)
    begin = len(store.uri(path).rstrip("/"))
    pairs = [(file.uri[begin:].lstrip("/"), file) for file in store.find(path, follow)]
    return sorted(pairs, key=lambda pair: pair[0])


def entries(folder: str) -> list[tuple[str, FileInfo | None]]:
    """The entries of a folder by name: a file, or None for a folder in it.

    A symbolic link counts as its target. A link without a target is a file of no bytes.
    """
    store, path = locate(folder)
    return sorted(store.entries(path), key=lambda pair: pair[0])


def protect(output: str) -> None:
    """From now on, this process changes nothing behind a symbolic link in an output folder.

    Every function that changes a file or folder below `output` raises an OutputError if a folder
    between them is a link, and replaces or removes a file that is a link itself. The output may be
    a link, since the user has named it.
    """
    store, path = locate(output)
    store.protect(path)


def refuse_links(uri: str, within: str) -> None:
    """Raises an OutputError if `uri`, or a folder between an output and it, is a symbolic link.

    The output `within` may be a link itself, since the user has named it.
    """
    store, path = locate(uri)
    if link := store.link_in(path, locate(within)[1]):
        raise linked(link)


# Reading


def read_bytes(uri: str, is_whole: IsWhole | None = None) -> bytes:
    """Reads a small file. Raises FileNotFoundError.

    `is_whole` saves a request to a remote store. The length of a file has to be asked for because
    an answer that ends early may look complete. If `is_whole` says no, the file is read again with
    its length, and returned in any case.
    """
    store, path = locate(uri)
    return store.read_bytes(path, is_whole)


def read_each(uris: Iterable[str], is_whole: IsWhole | None = None) -> Iterator[bytes]:
    """Reads small files in order, several at once from a remote store. See `read_bytes`."""
    guess = requests.BYTES // requests.REQUESTS
    return in_order((uri, guess, partial(read_bytes, uri, is_whole)) for uri in uris)


def read_range(uri: str, start: int, end: int) -> bytes:
    """Bytes ``[start, end)`` of a file, all of them.

    Raises a SourceError if the file is shorter than it was when it was found, or was deleted.
    """
    store, path = locate(uri)
    return store.read_range(path, start, end)


def read_ranges(ranges: Iterable[tuple[str, int, int]]) -> Iterator[bytes]:
    """Reads ranges (URI, start, end) in order, as `read_range`, several at once if remote."""
    return in_order(
        (uri, end - start, partial(read_range, uri, start, end)) for uri, start, end in ranges
    )


def in_order(calls: Iterable[tuple[str, int, Callable[[], T]]]) -> Iterator[T]:
    """Makes calls that read files: a URI, the expected bytes of the result, and the call.

    Calls that follow each other and read from the same remote store are made several at once.
    """
    for store, group in groupby(calls, key=lambda call: locate(call[0])[0]):
        yield from requests.results(((size, call) for _, size, call in group), store.near)


def read_blocks(uri: str, start: int, end: int) -> Iterator[bytes]:
    """Bytes ``[start, end)`` in blocks of at most 1 MiB. Errors as in `read_range`."""
    store, path = locate(uri)
    yield from store.read_blocks(path, start, end)


def open_binary(uri: str) -> Any:
    """Opens a file for reading as a context manager with seek and tell.

    A remote file is read whole at once: this is for files that are small or needed in full.
    """
    store, path = locate(uri)
    return store.open_binary(path)


# Writing


class HashingWriter(io.RawIOBase):
    """Passes bytes on, counts them and computes their SHA-256."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._target.write(view)
        self._hash.update(view)
        self._bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self._bytes

    def result(self) -> Written:
        """Size and hash of everything that has been written."""
        return Written(self._bytes, self._hash.hexdigest())


@contextlib.contextmanager
def write(uri: str, scratch: str) -> Iterator[HashingWriter]:
    """Writes or replaces a file, which appears whole when the block ends, or not at all.

    Unfinished files are in the folder `scratch` on the same file system; object stores have none.
    Raises an OutputError if there is no space, or no permission.
    """
    store, path = locate(uri)
    with store.staged(path, locate(scratch)[1]) as staged:
        writer = HashingWriter(staged)
        yield writer
        store.place(staged, path)


@contextlib.contextmanager
def write_new(uri: str, scratch: str) -> Iterator[HashingWriter]:
    """As `write`, for a file whose name says what it holds.

    A file with exactly these bytes stays untouched. One with other bytes is damaged, and is
    replaced. If several processes write the file at once, each of them finds it complete.
    """
    store, path = locate(uri)
    with store.staged(path, locate(scratch)[1]) as staged:
        writer = HashingWriter(staged)
        yield writer
        store.place_new(staged, path, writer.result())


def write_bytes(uri: str, data: bytes, scratch: str) -> Written:
    """Writes a small file whole. See `write`."""
    with write(uri, scratch) as file:
        file.write(data)
    return file.result()


def write_bytes_new(uri: str, data: bytes, sha256: str, scratch: str) -> None:
    """Writes a small file, whose hash is known, unless it is there. See `write_new`."""
    store, path = locate(uri)
    store.write_new(path, data, Written(len(data), sha256), locate(scratch)[1])


class Outbox:
    """Writes small files, several at once on a remote store. All are there when the block ends."""

    def __init__(self) -> None:
        self._sent: list[Future[None]] = []

    def write_bytes_new(self, uri: str, data: bytes, sha256: str, scratch: str) -> None:
        """As `write_bytes_new`, but an error of a remote store is raised when the block ends."""
        if is_near(uri):
            write_bytes_new(uri, data, sha256, scratch)
        else:
            sent = requests.pool().submit(write_bytes_new, uri, data, sha256, scratch)
            self._sent.append(sent)

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for sent in self._sent:
            if kind is None:
                sent.result()
            else:
                sent.cancel()


# Changing


def create(uri: str, data: bytes) -> bool:
    """Writes a small file unless there is one, and returns whether this call wrote it.

    Of many who try at once, one succeeds. Object stores do this by a precondition (Google's
    generation 0, S3's If-None-Match). A driver without one looks first, and two who try at the
    same moment may both succeed. The content must be different for each writer: if the answer of
    the store is lost, the content says who has written it.
    """
    store, path = locate(uri)
    return store.create(path, data)


def move(uri: str, target: str) -> None:
    """Renames a file. Does nothing if only the target exists. Raises FileNotFoundError.

    On an object store the file is copied first, and has both names for a moment.
    """
    store, path = locate(uri)
    store.move(path, locate(target)[1])


def remove_file(uri: str) -> None:
    """Removes a file or a symbolic link. Ignores folders and missing files.

    On a remote store this is one request, while `remove` needs five to look first.
    """
    store, path = locate(uri)
    store.remove_file(path)


def remove(uri: str) -> None:
    """Removes a file, or a folder with everything in it. Ignores what does not exist.

    A symbolic link is unlinked, and its target stays.
    """
    store, path = locate(uri)
    store.remove(path)


def prune(folder: str) -> None:
    """Removes a folder and those below it as far as they hold no file. Ignores links."""
    store, path = locate(folder)
    store.prune(path)
