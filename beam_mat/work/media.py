"""Reads the image files of rows below ``media_dir``, like LLaMA-Factory."""

from __future__ import annotations

from beam_mat.core.contract.finding import Fault, Kind, shown
from beam_mat.core.limits import MAX_IMAGE_BYTES
from beam_mat.storage.locate import locate


def read_image(media: str, path: str) -> bytes | Fault:
    """Returns the bytes of an image file, or why it cannot be read.

    The path in a row is never parsed as an address, only joined to ``media_dir``.

    Args:
        media: URI of ``media_dir``.
        path: The path in the row.
    """
    store, root = locate(media)
    name = store.joined(root, path)
    try:
        found = store.file_at(name)
    except (NotADirectoryError, ValueError):
        found = None
    if found is None:
        return Fault(Kind.IMAGE_MISSING, f"{shown(path)} is not a file below media_dir")
    if found.size > MAX_IMAGE_BYTES:
        return Fault(Kind.IMAGE_HUGE, f"{shown(path)} has {found.size} bytes")
    return store.read_range(name, 0, found.size)
