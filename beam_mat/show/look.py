"""What an image is like, from its first bytes: nothing is decoded."""

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
    """Size, format and bytes of an image, or why they cannot be told.

    Args:
        picture: The image.
        folder: URI of the folder that paths begin at.
    """
    if picture.data is not None:
        return f"{_measured(picture.data)}, {decimal(len(picture.data))} in the row"
    path = picture.path
    # A row may name anything, and looking at it is a request: nothing outside is asked for.
    outside = path.startswith("/") or "://" in path or "::" in path
    if outside or ".." in path.split("/") or posixpath.normpath(path) == ".":
        return "not looked at, since it is no path below the dataset"
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
    # Decoders raise whatever hostile bytes lead them to.
    except Exception:  # noqa: BLE001
        return "no picture that can be read"
