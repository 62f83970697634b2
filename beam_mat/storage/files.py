"""Files by their URI, on every store that fsspec reaches.

Each function finds the store of a URI (`beam_mat.storage.locate`) and calls the method that does
the work (`beam_mat.storage.store`). Files are read exactly, and written whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from beam_mat.storage import ahead
from beam_mat.storage.faults import linked
from beam_mat.storage.listing import is_glob
from beam_mat.storage.locate import locate
from beam_mat.storage.store import READ_BLOCK, FileInfo, IsWhole, Written
from beam_mat.storage.writing import (
    HashingWriter,
    Outbox,
    write,
    write_bytes,
    write_bytes_new,
    write_new,
)

__all__ = [
    "READ_BLOCK",
    "FileInfo",
    "HashingWriter",
    "IsWhole",
    "Outbox",
    "Range",
    "Written",
    "create",
    "entries",
    "exists",
    "expand",
    "file_at",
    "find",
    "in_order",
    "info",
    "is_folder",
    "is_near",
    "is_read_only",
    "join",
    "move",
    "normalize",
    "open_binary",
    "prune",
    "prune_above",
    "read_blocks",
    "read_bytes",
    "read_each",
    "read_range",
    "read_ranges",
    "refuse_links",
    "remove",
    "remove_file",
    "write",
    "write_bytes",
    "write_bytes_new",
    "write_new",
]

T = TypeVar("T")

Range = tuple[str, int, int]
"""A file's URI, and the bytes ``[start, end)`` of it."""


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


def is_read_only(uri: str) -> bool:
    """Whether nobody can write there."""
    return locate(uri)[0].read_only


# Looking files up


def exists(uri: str) -> bool:
    """Whether there is a file or a folder."""
    store, path = locate(uri)
    return store.exists(path)


def is_folder(uri: str) -> bool:
    """Whether `uri` is a folder."""
    store, path = locate(uri)
    return store.is_folder(path)


def file_at(uri: str) -> FileInfo | None:
    """The file with exactly this name, or None if there is a folder or nothing."""
    store, path = locate(uri)
    return store.file_at(path)


def info(uri: str) -> FileInfo:
    """Looks a file up.

    Raises:
        FileNotFoundError: It does not exist.
    """
    store, path = locate(uri)
    return store.info(path)


def expand(uri: str) -> list[FileInfo]:
    """The files that a URI or a pattern names, by name. A name that exists is never a pattern.

    Raises:
        FileNotFoundError: There is no such file.
    """
    store, path = locate(uri)
    if file := store.file_at(path):
        return [file]
    found = store.glob(path) if is_glob(path) else []
    if not found:
        raise FileNotFoundError(uri)
    return sorted(found, key=lambda file: file.uri)


def find(folder: str, follow: bool = False) -> list[tuple[str, FileInfo]]:
    """Every file below a folder, with its path relative to the folder, sorted by that path.

    A folder that does not exist has no files.

    Args:
        folder: The folder.
        follow: Whether to look behind symbolic links. Inputs may be links; in an output they are
            listed as files, so that whoever removes what is listed removes the link and nothing
            behind it.

    Raises:
        OutputError: The folder itself is a link, and `follow` is false.
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


def refuse_links(uri: str, within: str) -> None:
    """Makes sure that no symbolic link leads from an output to `uri`.

    Args:
        uri: A file or folder of the output.
        within: The output. It may be a link itself, since the user has named it.

    Raises:
        OutputError: `uri`, or a folder between the two, is a link. The text names it.
    """
    store, path = locate(uri)
    if link := store.link_in(path, locate(within)[1]):
        raise linked(link)


# Reading


def read_bytes(uri: str, is_whole: IsWhole | None = None) -> bytes:
    """Reads a small file.

    Args:
        uri: The file.
        is_whole: Saves a request to a far store. The length of a file has to be asked for because
            an answer that ends early may look complete. If `is_whole` says no, the file is read
            again with its length, and returned in any case.

    Raises:
        FileNotFoundError: It does not exist.
        StoreError: The store failed again and again.
    """
    store, path = locate(uri)
    return store.read_bytes(path, is_whole)


def read_each(uris: Iterable[str], is_whole: IsWhole | None = None) -> Iterator[bytes]:
    """Reads small files in order, several at once from a far store. See `read_bytes`."""
    guess = ahead.BYTES // ahead.REQUESTS
    return in_order((uri, guess, partial(read_bytes, uri, is_whole)) for uri in uris)


def read_range(uri: str, start: int, end: int) -> bytes:
    """Bytes ``[start, end)`` of a file, all of them.

    Raises:
        SourceError: The file is shorter than it was when it was found, or was deleted.
        StoreError: The store failed again and again.
    """
    store, path = locate(uri)
    return store.read_range(path, start, end)


def read_ranges(ranges: Iterable[Range]) -> Iterator[bytes]:
    """Reads ranges in order, several at once from a far store. Errors as in `read_range`."""
    return in_order(
        (uri, end - start, partial(read_range, uri, start, end)) for uri, start, end in ranges
    )


def in_order(calls: Iterable[tuple[str, int, Callable[[], T]]]) -> Iterator[T]:
    """Makes calls that read files, and yields their results in order.

    Calls that follow each other and read from the same far store are made several at once.

    Args:
        calls: The file's URI, the expected bytes of the result, and the call.
    """
    for store, group in groupby(calls, key=lambda call: locate(call[0])[0]):
        yield from store.results((size, call) for _, size, call in group)


def read_blocks(uri: str, start: int, end: int) -> Iterator[bytes]:
    """Bytes ``[start, end)`` of a file in blocks of `READ_BLOCK`. Errors as in `read_range`."""
    store, path = locate(uri)
    yield from store.read_blocks(path, start, end)


def open_binary(uri: str) -> Any:
    """Opens a file for reading as a context manager with seek and tell.

    A file on a far store is read whole at once: this is for small files, and for those that are
    read from end to end.
    """
    store, path = locate(uri)
    return store.open_binary(path)


# Changing


def create(uri: str, data: bytes) -> bool:
    """Writes a small file unless there is one: of many who try at once, one succeeds.

    Object stores do this by a precondition (Google's generation 0, S3's If-None-Match). A driver
    without one looks first, and two who try at the same moment may both succeed.

    Args:
        uri: The file.
        data: Its content, which must be different for each writer: if the answer of the store is
            lost, the content says who has written it.

    Returns:
        Whether this call wrote the file.
    """
    store, path = locate(uri)
    return store.create(path, data)


def move(uri: str, target: str) -> None:
    """Renames a file. Does nothing if only the target exists.

    On an object store the file is copied first, and has both names for a moment.

    Raises:
        FileNotFoundError: Neither exists.
    """
    store, path = locate(uri)
    store.move(path, locate(target)[1])


def remove_file(uri: str, within: str = "") -> None:
    """Removes a file or a symbolic link. Ignores folders and missing files.

    On a far store this is one request, while `remove` needs five to look first.

    Args:
        uri: The file.
        within: The output that it belongs to. A link in the output that leads to the file is
            refused, as in `refuse_links`.
    """
    store, path = _changed(uri, within)
    store.remove_file(path)


def remove(uri: str, within: str = "") -> None:
    """Removes a file, or a folder with everything in it. Ignores what does not exist.

    A symbolic link is unlinked, and its target stays. For `within` see `remove_file`.
    """
    store, path = _changed(uri, within)
    store.remove(path)


def _changed(uri: str, within: str) -> Any:
    if within:
        refuse_links(uri.rstrip("/").rsplit("/", 1)[0], within)
    return locate(uri)


def prune(folder: str) -> None:
    """Removes a folder and those below it as far as they hold no file. Ignores links.

    Object stores have no folders.
    """
    store, path = locate(folder)
    store.prune(path)


def prune_above(uri: str, folder: str) -> None:
    """Removes the folders between `folder` and a file as far as they are empty."""
    store, path = locate(uri)
    store.prune_above(path, locate(folder)[1])
