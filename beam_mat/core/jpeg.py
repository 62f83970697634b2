"""Decodes JPEGs with simplejpeg, which is faster than Pillow and gives the same pixels.

Both use libjpeg-turbo. Pillow gets new memory from the system for each image, while this module
decodes into a buffer that it keeps. What simplejpeg refuses or warns about is left to Pillow, whose
messages are known. Without simplejpeg, Pillow decodes everything.
"""

import threading
from typing import Any

from PIL import Image

try:
    import numpy
    import simplejpeg
except ImportError:
    simplejpeg = None

KEPT_BYTES = 64 << 20
"""A larger picture gets a buffer of its own, which is not kept."""


def decode(image: Image.Image, data: bytes) -> Image.Image | None:
    """Returns the picture of an opened JPEG with this data, or None if Pillow must decode it.

    The picture is valid until the next call in the same thread.
    """
    if simplejpeg is None or image.mode != "RGB":
        return None
    size = image.width * image.height * 4
    try:
        pixels = simplejpeg.decode_jpeg(
            data, "RGBX", fastdct=False, fastupsample=False, buffer=_buffer(size)
        )
    except ValueError:
        return None
    if pixels.shape != (image.height, image.width, 4):
        return None
    # Pillow keeps RGB with four bytes for each pixel, too, so nothing is copied.
    picture = Image.frombuffer("RGBX", image.size, pixels, "raw", "RGBX", 0, 1)
    picture.im.setmode("RGB")
    picture._mode = "RGB"
    return picture


_local = threading.local()


def _buffer(size: int) -> Any:
    if size > KEPT_BYTES:
        return numpy.empty(size, numpy.uint8)
    held = getattr(_local, "buffer", None)
    if held is None or len(held) < size:
        held = _local.buffer = numpy.empty(size, numpy.uint8)
    return held[:size]
