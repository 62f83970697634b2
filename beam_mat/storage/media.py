"""Image files that rows name, found as LLaMA-Factory finds them below ``media_dir``."""

from __future__ import annotations

import functools
import os
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from beam_mat.core.contract.finding import shown
from beam_mat.core.contract.kind import Kind
from beam_mat.core.contract.row import Fault
from beam_mat.core.limits import MAX_IMAGE_BYTES
from beam_mat.storage.retry import ShortBodyError, insist
from beam_mat.storage.stores import locate


def read_image(media: str, path: str) -> bytes | Fault:
    """The bytes of an image file.

    What a row names is a path and never an address: it is joined here, not given to fsspec to be
    taken apart.

    Args:
        media: URI of ``media_dir``.
        path: As the row names it.
    """
    fs, root = _root(media)
    if isinstance(fs, LocalFileSystem):
        return _read_local(os.path.join(root, path), path)
    try:
        name = f"{root}/{path}"
        found = insist(name, lambda: fs.info(name))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return _missing(path)
    if found["type"] != "file":
        return _missing(path)
    if found["size"] > MAX_IMAGE_BYTES:
        return _huge(path, found["size"])
    return insist(name, lambda: _whole(fs, name, found["size"]))


def _whole(fs: Any, name: str, size: int) -> bytes:
    data: bytes = fs.cat_file(name)
    if len(data) != size:
        raise ShortBodyError(f"{len(data)} bytes for {size}")
    return data


def _read_local(name: str, path: str) -> bytes | Fault:
    if "\0" in name or not os.path.isfile(name):
        return _missing(path)
    size = os.path.getsize(name)
    if size > MAX_IMAGE_BYTES:
        return _huge(path, size)
    with open(name, "rb") as file:
        return file.read()


@functools.cache
def _root(media: str) -> tuple[Any, str]:
    fs, root = locate(media)
    return fs, str(root).rstrip("/")


def _missing(path: str) -> Fault:
    return Fault(Kind.IMAGE_MISSING, f"{shown(path)} is no file below media_dir")


def _huge(path: str, size: int) -> Fault:
    return Fault(Kind.IMAGE_HUGE, f"{shown(path)} has {size} bytes")
