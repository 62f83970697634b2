"""Checks whether the files of a work result still exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from beam_mat.core import layout
from beam_mat.core.results import Part
from beam_mat.core.settings import Settings
from beam_mat.storage import files


def sizes(uris: Sequence[str]) -> list[int | None]:
    """Returns the size of each file in bytes, or None if it does not exist.

    Each file is looked up by name, several at once on a remote store. Listing the folder would
    take longer: it may have many other files, and every unit of work would list it again.
    """
    return list(files.in_order((uri, 0, partial(_size, uri)) for uri in uris))


def _size(uri: str) -> int | None:
    try:
        return files.info(uri).size
    except (FileNotFoundError, NotADirectoryError):
        return None


def all_there(settings: Settings, parts: Iterable[Part]) -> bool:
    """Returns whether every part has its size where it was written or where a commit moved it."""
    parts = list(parts)
    uris = [files.join(settings.output, part.path) for part in parts]
    lost = [part for part, size in zip(parts, sizes(uris), strict=True) if size != part.bytes]
    moved = [files.join(settings.output, layout.REPLACED, part.path) for part in lost]
    return sizes(moved) == [part.bytes for part in lost]


def location(output: str, path: str) -> str:
    """Returns the URI of a file of a generation: in its folder, or below ``replaced/``."""
    uri = files.join(output, path)
    moved = files.join(output, layout.REPLACED, path)
    return uri if files.exists(uri) or not files.exists(moved) else moved
