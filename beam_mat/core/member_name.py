r"""Turns the raw name of an archive's member into a path, the same on every version of Python.

A zip says in three ways how a name is written: by a Unicode Path extra field (0x7075), by a flag
for UTF-8, or not at all. Python's zipfile reads the extra field only in some versions.
"""

import codecs
import re
import unicodedata
import zlib
from collections.abc import Sequence

from beam_mat.core.layout import unsafe
from beam_mat.core.limits import MAX_PATH_BYTES

_LEADING = re.compile(r"\A(?:\.?/)+")
_LONGEST = 4 * MAX_PATH_BYTES
"""Bytes of a raw name. No character of any codec that tools use for names takes more bytes than
four times those that it takes in UTF-8."""
_UNICODE_PATH_HEADER = 5
"""Bytes before the name in a Unicode Path field: a version, and the CRC-32 of the raw name."""

RESOURCE_FORKS = "__MACOSX"
"""The folder in which macOS stores metadata of a zip's files."""


def member_path(
    raw: bytes, *, encoding: str = "", is_utf8: bool = False, unicode_path: bytes = b""
) -> str | None:
    r"""Returns the path of a member, or None if no record can name it or if it is hidden.

    `encoding` is the codec of names that do not say theirs, see `decode`. `unicode_path` is the
    content of a zip's extra field 0x7075, or empty.

    >>> member_path(b"./train\\caf\x82.jpg")
    'train/café.jpg'
    >>> member_path(b"__MACOSX/._a.jpg")
    """
    if len(raw) > _LONGEST:
        return None
    path = normal(decode(raw, encoding, is_utf8, unicode_path))
    return None if is_hidden(path) or unsafe(path) else path


def decode(raw: bytes, encoding: str = "", is_utf8: bool = False, unicode_path: bytes = b"") -> str:
    r"""Decodes a raw name. Every name can be decoded.

    A Unicode Path field counts if its CRC-32 is that of the raw name. Otherwise a name that claims
    to be UTF-8 is. Others have the `encoding`, as with ``unzip -O``; without one, and where it does
    not fit, they are UTF-8 if that is possible, and code page 437 if not.

    >>> decode("图.png".encode("gbk"), "gbk"), decode("图.png".encode(), "gbk", is_utf8=True)
    ('图.png', '图.png')
    """
    crc, name = unicode_path[1:_UNICODE_PATH_HEADER], unicode_path[_UNICODE_PATH_HEADER:]
    if name and crc == zlib.crc32(raw).to_bytes(4, "little"):
        raw, is_utf8 = name, True
    for codec in ("utf-8", encoding, "utf-8") if is_utf8 else (encoding, "utf-8"):
        if not codec:
            continue
        try:
            return raw.decode(codec)
        except ValueError:
            continue
    return raw.decode("cp437")


def codec_name(name: str) -> str:
    """The name by which Python knows a text encoding. Raises a ValueError if it knows none.

    >>> codec_name("CP936"), codec_name("Shift-JIS")
    ('gbk', 'shift_jis')
    """
    try:
        found = codecs.lookup(name)
        b"a.png".decode(found.name)
    except (LookupError, ValueError) as error:
        raise ValueError(f"{name!r} is not a text encoding of Python") from error
    return found.name


def normal(path: str) -> str:
    r"""The path with slashes only, and without slashes or dots before its first name.

    >>> normal(".\\images\\a.jpg"), normal("//./a/b")
    ('images/a.jpg', 'a/b')
    """
    return _LEADING.sub("", path.replace("\\", "/"))


def is_hidden(path: str) -> bool:
    """Whether a file is not an image but something that a system leaves beside images.

    >>> is_hidden("a/._b.jpg"), is_hidden("a/.DS_Store"), is_hidden("__MACOSX/a/b.jpg")
    (True, True, True)
    >>> is_hidden(".cache/b.jpg")
    False
    """
    return path.startswith(".", path.rfind("/") + 1) or f"/{path}".find(f"/{RESOURCE_FORKS}/") >= 0


def spellings(path: str) -> Sequence[str]:
    r"""The path, and the path in composed (NFC) and decomposed (NFD) form, each once.

    >>> [len(one) for one in spellings("café.jpg")]
    [8, 9]
    """
    if path.isascii():
        return (path,)
    forms = (unicodedata.normalize(form, path) for form in ("NFC", "NFD"))
    return tuple(dict.fromkeys((path, *forms)))
