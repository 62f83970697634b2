"""Describes an image from its first bytes; nothing is decoded."""

from __future__ import annotations

import io
import posixpath
import warnings

from PIL import Image
from rich.filesize import decimal

from beam_mat.core.errors import BeamMatError
from beam_mat.core.image import FORMATS
from beam_mat.show.conversation import Picture
from beam_mat.storage import files

HEAD_BYTES = 1 << 20


def look(picture: Picture, folder: str) -> str:
    """The size, format and bytes of an image, or why they are unknown."""
    if picture.data is not None:
        return f"{_measured(picture.data)}, {decimal(len(picture.data))} in the row"
    path = picture.path
    # A row may name anything. Opening it could contact a server, so nothing outside is opened.
    outside = path.startswith("/") or "://" in path or "::" in path
    if outside or ".." in path.split("/") or posixpath.normpath(path) == ".":
        return "not opened, because its path is not inside the dataset"
    try:
        uri = files.join(folder, path)
        size = files.info(uri).size
        head = files.read_range(uri, 0, min(size, HEAD_BYTES))
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError, BeamMatError) as error:
        return f"cannot be read: {error}"
    return f"{_measured(head)}, {decimal(size)}"


def _measured(head: bytes) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(head), formats=FORMATS) as image:
                return f"{image.width} × {image.height} {image.format}"
    # Hostile bytes can make decoders raise anything.
    except Exception:  # noqa: BLE001
        return "not a readable picture"
