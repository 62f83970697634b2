"""Makes small pictures for the report, in a worker process."""

import base64
import io
from typing import NamedTuple

from PIL import Image

from beam_mat.core.header import read_header
from beam_mat.core.limits import MAX_IMAGE_PIXELS

QUALITY = 62


class Thumbnail(NamedTuple):
    """A small JPEG as a data URL, its width and height, and those of the original, in pixels."""

    url: str
    size: tuple[int, int]
    full_size: tuple[int, int]


def thumbnail(side: int, data: bytes) -> Thumbnail | None:
    """Makes a thumbnail, at most `side` pixels wide and high. Returns None for a damaged image."""
    try:
        return _thumbnail(side, data)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  decoders raise almost anything; `verify` reports the image
        return None


def _thumbnail(side: int, data: bytes) -> Thumbnail:
    header = read_header(data)
    if header is None or header.size is None or header.size[0] * header.size[1] > MAX_IMAGE_PIXELS:
        raise ValueError("the header is damaged")
    with Image.open(io.BytesIO(header.data), formats=("JPEG", "PNG")) as image:
        full_size = image.size
        image.draft("RGB", (2 * side, 2 * side))
        small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=QUALITY)
    url = "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
    return Thumbnail(url, small.size, full_size)
