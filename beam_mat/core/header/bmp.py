"""Reads the header of a BMP."""

import struct

from beam_mat.core.geometry import Size
from beam_mat.core.header.header import Header, too_much

MAX_RUN_BYTES = 4 << 20
"""Bytes and pixels of a BMP that is compressed by run lengths. Pillow decodes it in Python, byte by
byte."""


def read(data: bytes) -> Header:
    """Returns the header of a BMP. Raises HeaderFault."""
    size: Size | None = None
    if len(data) >= 34:
        (length,) = struct.unpack_from("<L", data, 14)
        if length == 12:
            size = struct.unpack_from("<HH", data, 18)
        else:
            width, height = struct.unpack_from("<ll", data, 18)
            size = abs(width), abs(height)
            (compression,) = struct.unpack_from("<L", data, 30)
            is_packed = compression in (1, 2)
            if is_packed and max(len(data), size[0] * size[1]) > MAX_RUN_BYTES:
                raise too_much(f"{MAX_RUN_BYTES} bytes or pixels in run lengths")
    return Header("BMP", size, data)
