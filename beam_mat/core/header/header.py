"""What the walks over the headers of all formats have in common."""

import struct

import msgspec

from beam_mat.core.geometry import Size
from beam_mat.core.reject import Reason

MAX_PARTS = 4096
"""Segments of a JPEG before its picture, chunks of a PNG without pixels, and tags of a TIFF. Files
of cameras and editors have up to some hundred."""

MAX_METADATA = 16 << 20
"""Bytes of an image file that are neither pixels nor needed to decode them."""

MAX_STRIPS = 1 << 16
"""Strips or tiles of a TIFF, and pieces of a file in other formats, such as blocks of a GIF."""


class HeaderFault(Exception):
    """Why no decoder may see an image file."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Header(msgspec.Struct, frozen=True):
    """What the header of an image file says.

    Attributes:
        format: Pillow's name of the format.
        size: Width and height in pixels; None if the header does not say so.
        data: The file for the decoder: the file itself, or one with the same picture and without
            the parts that would cost a decoder much memory or time.
        excess: What these parts are; "" if there are none. Other programs would pay for them.
    """

    format: str
    size: Size | None
    data: bytes
    excess: str = ""


def too_much(what: str) -> HeaderFault:
    """The fault of a file that has more of something than any decoder should have to read."""
    return HeaderFault(Reason.IMAGE_TOO_LARGE, f"the file has more than {what}")


_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
"""Bytes of one value of each of TIFF's types."""

Tag = tuple[int, int, bytes]
"""A TIFF tag without its number: the type, the number of values, and the values or their offset."""


def tiff_order(tiff: bytes) -> str | None:
    """The byte order of a TIFF for `struct`, or None if it is no TIFF."""
    if tiff[:4] in (b"II\x2a\0", b"II\0\x2a", b"II\x2b\0"):
        return "<"
    return ">" if tiff[:4] in (b"MM\0\x2a", b"MM\x2a\0", b"MM\0\x2b") else None


def is_big(tiff: bytes) -> bool:
    """Whether a TIFF has offsets of 64 bits, as far as Pillow knows."""
    return tiff[2:3] == b"\x2b"


def tiff_directory(tiff: bytes, at: int | None = None) -> list[tuple[int, Tag]]:
    """The tags of the directory at an offset, or of the first one, with their numbers.

    Returns those that are there if the file ends early.
    """
    order = tiff_order(tiff)
    if order is None:
        return []
    big = is_big(tiff)
    offset, count, entry = ("Q", "Q", "HHQ8s") if big else ("L", "H", "HHL4s")
    entry = order + entry
    try:
        if at is None:
            (at,) = struct.unpack_from(order + offset, tiff, 8 if big else 4)
        (number,) = struct.unpack_from(order + count, tiff, at)
    except (struct.error, OverflowError):
        return []
    at += struct.calcsize(order + count)
    size = struct.calcsize(entry)
    number = min(number, (len(tiff) - at) // size, 0xFFFF)
    found = struct.iter_unpack(entry, tiff[at : at + number * size])
    return [(tag, (kind, values, data)) for tag, kind, values, data in found]


def tag_bytes(tag: Tag) -> int:
    """The bytes of a tag's values."""
    return _TYPE_BYTES.get(tag[0], 0) * tag[1]


def is_bounded(tiff: bytes) -> bool:
    """Whether the tags of EXIF or another small TIFF take no more bytes than it has.

    Several tags may name the same bytes, and Pillow would copy them for each.
    """
    return sum(tag_bytes(tag) for _, tag in tiff_directory(tiff)) <= len(tiff)
