"""Decodes one image file as LLaMA-Factory does: gives its size, or why it stops the job."""

from __future__ import annotations

import functools
import io
import math

from PIL import Image

from beam_mat.core.contract.kind import Kind
from beam_mat.core.contract.row import Fault
from beam_mat.core.geometry import Budget, Size
from beam_mat.core.image import decode_fault
from beam_mat.core.limits import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS

PILLOW_PIXELS = 2 * (1 << 30) // 4 // 3
"""Above this number of pixels, Pillow raises DecompressionBombError, also in LLaMA-Factory."""
LEAST_PIXELS = 1024
"""LLaMA-Factory's default of ``image_min_pixels``."""


def look(data: bytes, max_pixels: int) -> Size | Fault:
    """Decodes a whole image, as training would. Any bytes are allowed.

    Returns:
        Width and height in pixels, or a fault if training cannot use the image.
    """
    if len(data) > MAX_IMAGE_BYTES:
        return Fault(Kind.IMAGE_HUGE, f"the file has {len(data)} bytes")
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            found = f"the image has {image.width}x{image.height} pixels"
            if image.width * image.height > PILLOW_PIXELS:
                return Fault(Kind.IMAGE_UNDECODABLE, found)
            if vanishes(image.size, Budget(max_pixels, LEAST_PIXELS)):
                return Fault(Kind.IMAGE_TOO_THIN, found)
            if image.width * image.height > MAX_IMAGE_PIXELS:
                return Fault(Kind.IMAGE_HUGE, found)
            image.load()
            return image.size
    except MemoryError:
        raise
    # On hostile bytes, decoders raise almost anything.
    except Exception as error:  # noqa: BLE001
        return Fault(Kind.IMAGE_UNDECODABLE, decode_fault(error).detail)


@functools.cache
def _formats() -> tuple[str, ...]:
    # LLaMA-Factory allows every format that Pillow supports. These two start other programs.
    Image.init()
    return tuple(name for name in Image.OPEN if name not in ("EPS", "WMF"))


def vanishes(size: Size, budget: Budget) -> bool:
    """Whether LLaMA-Factory would scale a side down to 0, which Pillow refuses.

    >>> vanishes((1, 700_000), Budget(589824)), vanishes((640, 480), Budget())
    (True, False)
    """
    width, height = size
    for exceeds, goal in (
        (width * height > budget.max_pixels, budget.max_pixels),
        (width * height < budget.min_pixels, budget.min_pixels),
    ):
        if exceeds:
            factor = math.sqrt(goal / (width * height))
            width, height = int(width * factor), int(height * factor)
            if not width or not height:
                return True
    return False
