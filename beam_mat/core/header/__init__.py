"""Walks over the headers of image files before a decoder sees them.

Decoders trust what headers say: they take memory for pictures that are not there, and copy what a
few bytes name thousands of times. The walks take any bytes, need linear time and little memory, and
decode nothing.
"""

from beam_mat.core.header import bmp, gif, jpeg, png, tiff, webp
from beam_mat.core.header.header import Header, HeaderFault, tiff_order

__all__ = ["Header", "HeaderFault", "read_header"]


def read_header(data: bytes) -> Header | None:
    """Returns the header of a file, which may break off, or None if its format is unknown.

    Raises HeaderFault for a file that no decoder may see.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return jpeg.read(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return png.read(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return gif.read(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return webp.read(data)
    if data.startswith(b"BM"):
        return bmp.read(data)
    return tiff.read(data) if tiff_order(data) else None
