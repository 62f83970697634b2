"""Walks over the first directory of a TIFF."""

import struct

from beam_mat.core.geometry import Size
from beam_mat.core.header.header import (
    MAX_METADATA,
    MAX_PARTS,
    MAX_STRIPS,
    Header,
    HeaderFault,
    Tag,
    is_big,
    tag_bytes,
    tiff_directory,
    tiff_order,
    too_much,
)
from beam_mat.core.reject import Reason

COMPRESSIONS = {
    1: "none",
    5: "LZW",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    50000: "Zstandard",
}
"""The compressions that are decoded. libtiff's decoders of fax and JPEG report success for pixels
that they never wrote, so that a damaged picture shows memory that was freed. LZMA takes the memory
that the file asks for. The others (WebP, ThunderScan, SGI's) are too rare to be proven."""

_REFUSED = {
    2: "fax (CCITT)",
    3: "fax (group 3)",
    4: "fax (group 4)",
    6: "JPEG",
    7: "JPEG",
    34925: "LZMA",
    50001: "WebP",
}

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _STRIPS, _ORIENTATION = 256, 257, 258, 259, 273, 274
_SAMPLES, _ROWS, _PLANES = 277, 278, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES = 322, 323, 324
_LISTS = (_STRIPS, 279, _TILES, 325)
_NEEDED = {
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, 262, 266, _STRIPS, _ORIENTATION, _SAMPLES, _ROWS, 279),
    *(_PLANES, 317, 320, _TILE_WIDTH, _TILE_HEIGHT, _TILES, 325, 338, 339, 347, 529, 530, 532),
}
"""The tags that decide about pixels."""
_DIRECTORIES = (34665, 34853, 40965)
"""Tags that name other directories, which Pillow reads: EXIF, GPS and interoperability."""
_VALUES_BYTES = 1 << 20
"""Bytes of a tag that is needed and is no list of strips or tiles, such as a table of colours."""
_TILE_PIXELS = 1 << 22
_TILE_MARGIN = 1024


def read(data: bytes) -> Header:
    """Returns the header of a TIFF. Raises HeaderFault.

    The file for the decoder has a directory with only the tags that decide about pixels.
    """
    order = tiff_order(data) or "<"
    directory = tiff_directory(data)
    tags = {tag: value for tag, value in directory if tag in _NEEDED}
    width = _first(data, order, tags.get(_WIDTH)) or 0
    height = _first(data, order, tags.get(_HEIGHT)) or 0
    _check(data, order, tags, (width, height))
    size = (width, height) if width and height else None
    if size and _first(data, order, tags.get(_ORIENTATION)) in (5, 6, 7, 8):
        size = size[::-1]
    excess = _excess(data, order, directory)
    return Header("TIFF", size, _with_directory(data, order, tags), excess)


def _check(data: bytes, order: str, tags: dict[int, Tag], size: Size) -> None:
    compression = _first(data, order, tags.get(_COMPRESSION), 1)
    if compression not in COMPRESSIONS:
        name = _REFUSED.get(compression or 0, f"number {compression}")
        detail = f"the compression of the TIFF is {name}, which has no reliable decoder"
        raise HeaderFault(Reason.IMAGE_UNDECODABLE, detail)
    for tag, value in tags.items():
        if tag in _LISTS and value[1] > MAX_STRIPS:
            raise too_much(f"{MAX_STRIPS} strips or tiles")
        if tag not in _LISTS and tag_bytes(value) > _VALUES_BYTES:
            raise too_much(f"{_VALUES_BYTES} bytes in the tag {tag}")
    width, height = size
    across = _first(data, order, tags.get(_TILE_WIDTH), 0) or 0
    down = _first(data, order, tags.get(_TILE_HEIGHT), 0) or 0
    fits = across <= width + _TILE_MARGIN and down <= height + _TILE_MARGIN
    if not fits and across * down > _TILE_PIXELS:
        detail = (
            f"the tiles of the TIFF have {across}x{down} pixels; the image has {width}x{height}"
        )
        raise HeaderFault(Reason.IMAGE_TOO_LARGE, detail)
    if across and down:
        number = -(-width // across) * -(-height // down)
    else:
        rows = _first(data, order, tags.get(_ROWS), height) or height
        number = -(-height // rows) if rows else 0
    if _first(data, order, tags.get(_PLANES), 1) == 2:
        number *= _first(data, order, tags.get(_SAMPLES), 1) or 1
    if number > MAX_STRIPS:
        raise too_much(f"{MAX_STRIPS} strips or tiles")


def _excess(data: bytes, order: str, directory: list[tuple[int, Tag]]) -> str:
    if len(directory) > MAX_PARTS:
        return f"{len(directory)} tags"
    tags = [value for _, value in directory]
    for tag, value in directory:
        at = _first(data, order, value) if tag in _DIRECTORIES else None
        if at is not None:
            tags += [inner for _, inner in tiff_directory(data, at)]
    size = sum(map(tag_bytes, tags))
    if size > MAX_METADATA + len(data):
        return f"tags with {size} bytes, more than the file has"
    return ""


def _first(data: bytes, order: str, tag: Tag | None, default: int | None = None) -> int | None:
    """The first value of a tag of whole numbers."""
    if tag is None:
        return default
    kind, number, values = tag
    code = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}.get(kind)
    if code is None or number < 1:
        return default
    if tag_bytes(tag) > len(values):
        at = int.from_bytes(values, "little" if order == "<" else "big")
        values = data[at : at + 8]
    try:
        return int(struct.unpack_from(order + code, values)[0])
    except struct.error:
        return default


def _with_directory(data: bytes, order: str, tags: dict[int, Tag]) -> bytes:
    """The file with another directory behind it, and an offset to this one in its header."""
    big = is_big(data)
    offset, count, entry = ("Q", "Q", "HHQ8s") if big else ("L", "H", "HHL4s")
    padded = data + b"\0" * (len(data) % 2)
    entries = (struct.pack(order + entry, tag, *tags[tag]) for tag in sorted(tags))
    directory = struct.pack(order + count, len(tags)) + b"".join(entries)
    last = struct.pack(order + offset, 0)
    start = 8 if big else 4
    head = padded[:start] + struct.pack(order + offset, len(padded))
    return b"".join((head, padded[start + len(last) :], directory, last))
