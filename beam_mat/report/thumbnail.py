"""Pictures small enough to lie in the page itself."""

from __future__ import annotations

import base64
import io

import msgspec
from PIL import Image

SIDE = 176
"""Pixels of a thumbnail's longer side: it is shown at most this large."""
QUALITY = 62


class Thumbnail(msgspec.Struct, frozen=True):
    """A small JPEG.

    Attributes:
        url: A data URL.
        size: Its width and height.
        full_size: Width and height of the image that it stands for.
    """

    url: str
    size: tuple[int, int]
    full_size: tuple[int, int]


def thumbnail(data: bytes) -> Thumbnail:
    """Makes one of an image file of the dataset.

    Raises:
        OSError: It cannot be decoded.
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
