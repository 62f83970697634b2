"""Walks over the chunks of a PNG."""

import struct

from beam_mat.core.geometry import Size
from beam_mat.core.header.header import MAX_METADATA, MAX_PARTS, Header, too_much

MAX_CHUNKS = 1 << 17
"""Chunks of one PNG: the largest file in chunks of 512 bytes. Encoders write 8 KiB and more."""

_CHUNK = struct.Struct(">L4s")
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def read(data: bytes) -> Header:
    """Returns the header of a PNG. Raises HeaderFault."""
    at, chunks, others, metadata, profiles = 8, 0, 0, 0, 0
    size: Size | None = None
    kept = [data[:8]]
    while at + 8 <= len(data):
        length, kind = _CHUNK.unpack_from(data, at)
        end = at + 12 + length
        chunks += 1
        if chunks > MAX_CHUNKS:
            raise too_much(f"{MAX_CHUNKS} chunks")
        if kind == b"IHDR" and size is None and length >= 8:
            size = struct.unpack(">LL", data[at + 8 : at + 16].ljust(8, b"\0"))
        if kind != b"IDAT":
            others += 1
        if kind in _NEEDED:
            kept.append(data[at:end])
        else:
            metadata += length
            profiles += kind == b"iCCP"
        at = end
        if kind == b"IEND":
            break
    excess = ""
    if others > MAX_PARTS:
        excess = f"{others} chunks that are not pixels"
    elif metadata > MAX_METADATA:
        excess = f"{metadata} bytes of metadata"
    elif profiles > 1:
        excess = f"{profiles} colour profiles"
    return Header("PNG", size, b"".join(kept) if excess else data, excess)
