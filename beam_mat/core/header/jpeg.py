"""Walks over the segments of a JPEG."""

import re

from beam_mat.core.geometry import Size
from beam_mat.core.header.header import MAX_METADATA, MAX_PARTS, Header, is_bounded, too_much

MAX_SCANS = 100
"""Scans of one JPEG. Encoders write up to about 20, and a decoder passes over the whole picture
for each."""
MAX_SCAN_PIXELS = 1 << 31
"""Scans times pixels: 32 scans of the largest picture."""
MAX_FILLING = 4096
"""Bytes between segments that belong to none. Pillow reads them one by one."""

_FILL = b"\xff" * MAX_FILLING
_MARKER = re.compile(rb"\xff[^\xff]", re.DOTALL)
_IN_SCANS = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SOS, _EOI, _APP1, _APP2 = 0xDA, 0xD9, 0xE1, 0xE2
_ALONE = (0x00, 0x01, *range(0xD0, 0xDA))
"""Markers without a length: escaped bytes, TEM, RST, SOI and EOI."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_NEEDED = {*range(0xC0, 0xE0), 0xE0, 0xEE}
"""Segments that decide about pixels: all but comments and application segments, of which only JFIF
and Adobe count."""


def read(data: bytes) -> Header:
    """Returns the header of a JPEG. Raises HeaderFault."""
    at, parts, filling, metadata, exifs = 2, 0, 0, 0, 0
    size: Size | None = None
    kept, excess = [data[:2]], ""
    while found := _MARKER.search(data, at):
        start, marker = found.start(), found[0][1]
        parts += 1
        if parts > MAX_PARTS:
            raise too_much(f"{MAX_PARTS} segments before its picture")
        filling += start - at
        if marker == _SOS:
            # libjpeg begins again with these whenever Pillow brings more of them.
            end = data.find(_FILL, start)
            if end >= 0:
                excess = "fill bytes after its first scan"
            kept.append(data[start:] if end < 0 else data[start:end])
            break
        at = start + 2
        if marker not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
            body = data[start + 4 : at]
            if marker in _FRAMES and len(body) >= 5 and size is None:
                size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
            if marker not in _NEEDED:
                metadata += len(body)
                exifs += marker == _APP1 and body[:6] == b"Exif\0\0"
                if not _is_bounded(marker, body):
                    excess = "metadata whose tags share their values"
                continue
        kept.append(data[start:at])
    else:
        kept.append(data[at:])
        start = len(data)
    if filling > MAX_FILLING:
        excess = f"{filling} bytes between its segments"
    elif metadata > MAX_METADATA:
        excess = f"{metadata} bytes of metadata"
    elif exifs > 1:
        excess = f"{exifs} segments with EXIF"
    _check_scans(data, start, size)
    return Header("JPEG", size, b"".join(kept) if excess else data, excess)


def _is_bounded(marker: int, body: bytes) -> bool:
    if marker == _APP1 and body[:4] == b"Exif":
        return is_bounded(body[6:])
    return marker != _APP2 or body[:4] != b"MPF\0" or is_bounded(body[4:])


def _check_scans(data: bytes, start: int, size: Size | None) -> None:
    pixels = size[0] * size[1] if size else 0
    most = min(MAX_SCANS, MAX_SCAN_PIXELS // max(1, pixels))
    # This counts too many rather than too few, and it is fast.
    if data.count(b"\xff\xda", start) <= most:
        return
    scans = parts = 0
    at = start
    while found := _IN_SCANS.search(data, at):
        at, marker = found.end(), found[0][1]
        parts += 1
        if marker == _EOI:
            return
        scans += marker == _SOS
        if scans > most:
            raise too_much(f"{most} scans")
        if parts > MAX_PARTS * 16:
            raise too_much(f"{MAX_PARTS * 16} segments after its first scan")
        if marker not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
