"""Removes what a JPEG or PNG says about its orientation. The compressed picture stays as it is.

Some programs turn an image as its metadata says, and others show it as it is stored. Without the
metadata, all of them show the stored picture, which is the one that was measured.

Metadata that states no orientation, or the normal one, stays. Damaged metadata goes, because
readers differ in what they make of it, and some fail. Only metadata that image libraries look at
counts: EXIF and XMP.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from beam_mat.core.header.header import is_bounded

_TAG = 0x0112
_UPRIGHT = (3, 1, 1)
"""Type, number and value of the tag: one short integer, which is 1."""
_ORDERS = {b"II": "<", b"MM": ">"}

_XMP_WORD = b"Orientation"
_XMP_UPRIGHT = re.compile(
    rb"Orientation(?:\s{0,9}=\s{0,9}(?:\"1\"|'1')|>\s{0,9}1\s{0,9}</\w{0,30}:?Orientation>)"
)

_MARKER = re.compile(rb"\xff[^\xff]", re.DOTALL)
_SOS, _APP1 = 0xDA, 0xE1
_ALONE = (0x00, 0x01, *range(0xD0, 0xDA))
"""JPEG markers without a length: escaped bytes, TEM, RST, SOI and EOI."""

_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PNG_XMP = b"XML:com.adobe.xmp"
_PNG_PROFILES = tuple(b"Raw profile type " + name for name in (b"exif", b"APP1", b"app1", b"xmp"))
_MAX_TEXT = 1 << 20
"""Pillow refuses longer texts."""

Range = tuple[int, int]


def without_orientation(data: bytes, format: str) -> bytes:
    """Returns a file without the metadata that may turn it, or the same object if there is none.

    `format` is JPEG or PNG. The file may have any bytes; what is not understood stays.
    """
    kept, at = list[bytes](), 0
    for start, end in _turning_segments(data) if format == "JPEG" else _turning_chunks(data):
        kept.append(data[at:start])
        at = end
    return b"".join((*kept, data[at:])) if at else data


def _turning_segments(data: bytes) -> Iterator[Range]:
    """The APP1 segments of a JPEG before its picture that must go."""
    at = 2
    while found := _MARKER.search(data, at):
        at, marker = found.start(), found[0][1]
        if marker in _ALONE:
            at += 2
        elif marker == _SOS or at + 4 > len(data):
            return
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if end < at + 4 or end > len(data):
                return
            if marker == _APP1 and not _is_upright(data[at + 4 : end]):
                yield at, end
            at = end


def _turning_chunks(data: bytes) -> Iterator[Range]:
    """The chunks of a PNG that must go."""
    at = 8
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or kind == b"IEND":
            return
        body = memoryview(data)[at + 8 : end - 4]
        if (kind == b"eXIf" and not _is_upright_tiff(bytes(body))) or (
            kind in _PNG_TEXTS and not _is_upright_text(kind, body)
        ):
            yield at, end
        at = end


def _is_upright(metadata: bytes) -> bool:
    """Whether EXIF or XMP in an APP1 segment turns nothing. Other content turns nothing either."""
    if metadata[:4].lower() == b"exif":
        return _is_upright_tiff(metadata[6:])
    return _XMP_WORD not in _XMP_UPRIGHT.sub(b"", metadata)


def _is_upright_tiff(tiff: bytes) -> bool:
    """Whether the first directory of EXIF is intact and states no other orientation than 1.

    It is not intact if its tags have more bytes than the file: a reader would copy some again and
    again.
    """
    order = _ORDERS.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return False
    magic, start = struct.unpack_from(f"{order}HI", tiff, 2)
    if magic != 42 or start + 2 > len(tiff):
        return False
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    entries = tiff[start + 2 : start + 2 + 12 * count]
    if len(entries) != 12 * count or not is_bounded(tiff):
        return False
    found = struct.iter_unpack(f"{order}HHIHxx", entries)
    return all(tuple(entry) == _UPRIGHT for tag, *entry in found if tag == _TAG)


def exif_is_bounded(info: Mapping[Any, Any]) -> bool:
    """Whether Pillow may read the EXIF that it has found in a file. `info` is ``Image.info``."""
    exif = info.get("exif", b"")
    if exif:
        return is_bounded(exif[6:] if exif[:4].lower() == b"exif" else exif)
    profile = info.get("Raw profile type exif", "")
    try:
        exif = bytes.fromhex("".join(profile.split("\n")[3:]))
    except ValueError:
        return False
    return is_bounded(exif[6:])


def _is_upright_text(kind: bytes, body: memoryview) -> bool:
    """Whether a text chunk turns nothing. Only XMP and the profiles of ImageMagick can turn."""
    keyword = bytes(body[:80]).partition(b"\0")[0]
    if keyword not in (_PNG_XMP, *_PNG_PROFILES):
        return True
    text = bytes(body[len(keyword) + 1 :])
    compressed = kind == b"zTXt"
    if kind == b"zTXt":
        text = text[1:]
    elif kind == b"iTXt":
        compressed = text[:1] == b"\1"
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    if compressed:
        inflate = zlib.decompressobj()
        try:
            text = inflate.decompress(text, _MAX_TEXT)
        except zlib.error:
            return False
        if inflate.unconsumed_tail:
            return False
    if keyword == _PNG_XMP:
        return _is_upright(text)
    try:
        # An empty line, the name, the length, and the profile in hexadecimal.
        profile = bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return False
    if keyword.endswith(b"exif") and profile[:4].lower() != b"exif":
        return _is_upright_tiff(profile)
    return _is_upright(profile)
