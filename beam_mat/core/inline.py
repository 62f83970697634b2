"""Images inside records: ``data:`` addresses, which become files named by their hash.

The bytes do not travel through the graph. The shard is a source of these images, like a zip, and
each address a member of it.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

import msgspec

_DATA = re.compile(r"data:image/([A-Za-z0-9.+-]{1,20});base64,", re.IGNORECASE)
_SUFFIXES = {"jpeg": "jpg", "jpg": "jpg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp"}
_TEXT = re.compile(rb'"data:image\\?/[^"]*"', re.IGNORECASE)
"""An address as JSON text. Base64 may be escaped there (``\\/``), but has no quotation mark."""


def inline_image(address: str) -> tuple[str, bytes] | None:
    """Returns path and bytes of a ``data:`` address, or None if it is not an image in base64."""
    found = _DATA.match(address)
    suffix = _SUFFIXES.get(found[1].lower()) if found else None
    if found is None or suffix is None:
        return None
    try:
        data = base64.b64decode(address[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None
    return f"inline/{hashlib.sha256(data).hexdigest()}.{suffix}", data


def from_json(text: bytes) -> tuple[str, bytes] | None:
    """As `inline_image`, for an address as JSON text."""
    try:
        return inline_image(msgspec.json.decode(text, type=str))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def addresses(raw: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Yields the images inside a record: path, size, and where the JSON text begins and ends."""
    for found in _TEXT.finditer(raw):
        if made := from_json(found[0]):
            yield made[0], len(made[1]), found.start(), found.end()
