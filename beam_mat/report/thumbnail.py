"""Makes thumbnails, which are small enough to be embedded in the page."""

from __future__ import annotations

import base64
import io

import msgspec
from PIL import Image

SIDE = 176
"""Pixels of a thumbnail's longer side. The page shows it at most this large."""
QUALITY = 62


class Thumbnail(msgspec.Struct, frozen=True):
    """A small JPEG as a data URL, its width and height, and those of the original, in pixels."""

    url: str
    size: tuple[int, int]
    full_size: tuple[int, int]


def thumbnail(data: bytes) -> Thumbnail:
    """Makes a thumbnail of a JPEG or PNG file.

    Raises:
        OSError: The image cannot be decoded.
    """
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        full_size = image.size
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=QUALITY)
    url = "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
    return Thumbnail(url, small.size, full_size)
