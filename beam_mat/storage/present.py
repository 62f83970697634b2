"""Whether files that a note tells of are still there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from beam_mat.core.notes import Part
from beam_mat.core.settings import Settings
from beam_mat.storage import files
from beam_mat.storage.stores import is_near, locate

LOOKS_AT_ONCE = 16


def sizes(uris: Sequence[str]) -> list[int | None]:
    """Bytes of each file, or None where there is none.

    Each is looked at by itself: they may be few among the many of a folder, which every unit of
    work would list anew.
    """
    if not uris:
        return []
    if is_near(locate(uris[0])[0]):
        return [_size(uri) for uri in uris]
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        return list(pool.map(_size, uris))


def _size(uri: str) -> int | None:
    try:
        # Without a protocol it is local, and there may be many thousands.
        return files.info(uri).size if "://" in uri else os.stat(uri).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def all_there(settings: Settings, parts: Iterable[Part]) -> bool:
    """Whether every part is there with its size."""
    parts = list(parts)
    uris = [files.join(settings.output, part.path) for part in parts]
    return sizes(uris) == [part.bytes for part in parts]
