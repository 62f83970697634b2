"""Walks over the chunks of a WebP."""

import struct

from beam_mat.core.geometry import Size
from beam_mat.core.header.header import MAX_STRIPS, Header, too_much

_CHUNK = struct.Struct("<4sL")


def read(data: bytes) -> Header:
    """Returns the header of a WebP, whose size is that of its canvas. Raises HeaderFault."""
    at, chunks = 12, 0
    size: Size | None = None
    while at + 8 <= len(data):
        kind, length = _CHUNK.unpack_from(data, at)
        chunks += 1
        if chunks > MAX_STRIPS:
            raise too_much(f"{MAX_STRIPS} chunks")
        found = _size(kind, data[at + 8 : at + 18])
        if found:
            size = (max(found[0], size[0]), max(found[1], size[1])) if size else found
        at += 8 + length + length % 2
    return Header("WEBP", size, data)


def _size(kind: bytes, body: bytes) -> Size | None:
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    return None
