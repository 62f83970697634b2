"""Recognises what a file among the JSON shards is, from its first bytes and never from its name.

A shard is an array of records, JSON Lines, one object that holds a list of records, or any of these
compressed. Everything else is named, with what to do about it.
"""

import re

import msgspec

from beam_mat.core.compression import Codec, codec_of
from beam_mat.core.limits import MAX_NESTING, MAX_RECORD_BYTES
from beam_mat.core.scan import Break, Layout

HEAD_BYTES = 1 << 16
"""The number of bytes at the start of a shard that `detect` reads first."""

UTF8_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\n\r"


class Head(msgspec.Struct, frozen=True):
    """A shard's layout and the offset at which its records begin."""

    layout: Layout
    offset: int


class Wrapped(msgspec.Struct, frozen=True):
    """The file is one object, which begins at `offset` and may hold a list of records.

    If it is not `over_lines`, it may as well be JSON Lines with one record.
    """

    offset: int
    over_lines: bool


class Packed(msgspec.Struct, frozen=True):
    """The file is compressed. Its content has to be looked at."""

    codec: Codec


Found = Head | Wrapped | Packed | Break

_LFS = b"version https://git-lfs.github.com/spec/"
_UNPACK = "unpack it, and name the files"
_AGAIN = "download it again"

KINDS = (
    (b"PAR1", "Parquet", "write it as JSON Lines, such as with to_json(lines=True) of pandas"),
    (b"ARROW1", "an Arrow file", "write it as JSON Lines"),
    (_LFS, "a Git LFS pointer and not the file itself", "run git lfs pull, or download the file"),
    (b"PK\x03\x04", "a zip", f"{_UNPACK}; zips of images belong to --images"),
    (b"PK\x05\x06", "an empty zip", _AGAIN),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", f"{_UNPACK} (7z x FILE)"),
    (b"Rar!\x1a\x07", "a rar archive", f"{_UNPACK} (unrar x FILE)"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "decompress it (lz4 -d FILE)"),
    (b"\x1f\x9d", "compressed with compress", "decompress it (uncompress FILE)"),
    (b"\x5d\x00\x00", "compressed with lzma", "decompress it (unlzma FILE)"),
    (b"SQLite format 3\0", "an SQLite database", "write its records as JSON Lines"),
    (b"\x89HDF\r\n", "an HDF5 file", "write its records as JSON Lines"),
    (b"\x93NUMPY", "a NumPy array", "write its records as JSON Lines"),
    (b"\x80\x04\x95", "a Python pickle", "write its records as JSON Lines"),
    (b"\x80\x05\x95", "a Python pickle", "write its records as JSON Lines"),
    (b"%PDF-", "a PDF", "name the JSON files only"),
    (b"\x89PNG", "an image (PNG)", "images belong to --images"),
    (b"\xff\xd8\xff", "an image (JPEG)", "images belong to --images"),
    (b"GIF8", "an image (GIF)", "images belong to --images"),
    (b"RIFF", "an image or a sound (RIFF)", "images belong to --images"),
)
"""The first bytes of files that are no shards, what they are, and what to do about it."""


def detect(head: bytes, *, whole: bool = False) -> Found | None:
    r"""Recognises a shard by its first bytes.

    `head` has the first `HEAD_BYTES` or more; `whole` says that the file has no others. A Break
    says why the file is no shard. None means that more bytes are needed: the first line is an
    object that does not end in `head`.

    >>> detect(b'[{"id": 1}]')
    Head(layout=<Layout.ARRAY: 'array'>, offset=1)
    >>> detect(b'{"data": [\n{"id": 1}\n]}')
    Wrapped(offset=0, over_lines=True)
    >>> detect(b"<html>").detail
    'the file is a web page (HTML or XML); download the file itself, which may need a login'
    """
    if not head:
        return Break(0, f"the file is empty; {_AGAIN}")
    if codec := codec_of(head):
        return Packed(codec)
    for magic, what, cure in KINDS:
        if head.startswith(magic):
            return Break(0, f"the file is {what}; {cure}")
    if head[257:262] == b"ustar":
        return Break(0, f"the file is a tar archive; {_UNPACK} (tar -xf FILE)")
    if not head.strip(b"\0"):
        return Break(0, f"the file has only null bytes; {_AGAIN}")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head[:4]:
        return Break(0, "the file is UTF-16 or UTF-32; write it in UTF-8 (iconv -t UTF-8)")
    begin = len(UTF8_BOM) if head.startswith(UTF8_BOM) else 0
    text = head[begin:].lstrip(_SPACE)
    first = len(head) - len(text)
    if text.startswith(b"["):
        return Head(Layout.ARRAY, first + 1)
    if text.startswith(b"{"):
        return _object(text, begin, first, whole=whole)
    if not text and whole:
        return Break(0, f"the file has nothing but blanks; {_AGAIN}")
    if text.startswith(b"<"):
        what = "the file is a web page (HTML or XML)"
        return Break(first, f"{what}; download the file itself, which may need a login")
    if not text or re.search(rb"\n[ \t\r]*\{", text):
        return Head(Layout.LINES, begin)
    return Break(first, f"the file is not JSON: it starts with {text[:20]!r}")


def _object(text: bytes, begin: int, first: int, *, whole: bool) -> Found | None:
    """Tells JSON Lines from one object. `text` begins with the brace at the offset `first`."""
    if b"\n" not in text.rstrip(_SPACE):
        return Wrapped(first, False) if whole or len(text) > MAX_RECORD_BYTES else None
    end, over_lines, sound = _first_value(text)
    if not sound and not over_lines:
        return Head(Layout.LINES, begin)  # a damaged line costs only itself
    if end is None:
        return Wrapped(first, over_lines) if over_lines or whole else None
    rest = text[end:].lstrip(_SPACE)
    if rest and not over_lines:
        return Head(Layout.LINES, begin)
    if rest.startswith(b"{"):
        what = "the file has objects over several lines, one after the other"
        return Break(first, f"{what}; write them as an array or as JSON Lines")
    if not whole and not over_lines:
        return Head(Layout.LINES, begin)  # nothing but blanks for a long time
    return Wrapped(first, over_lines)


_TOKEN = re.compile(
    rb'"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*"|[{}\[\],:]|[^\s"{}\[\],:]+|(?P<open>".*)', re.DOTALL
)
# What may follow what in JSON, by the kinds of tokens below.
_AFTER = {
    b"{": b"s}",
    b"[": b"v]",
    b":": b"v",
    b",{": b"s",
    b",[": b"v",
    b"v{": b",}",
    b"v[": b",]",
    b"s{": b":",
}


def _first_value(text: bytes) -> tuple[int | None, bool, bool]:
    r"""Reads the tokens of the object at the start, until it ends or is not JSON.

    Returns the offset of its end, or None; whether it has a line end inside that is followed by
    what may follow there; and whether it is JSON as far as it was read.

    >>> _first_value(b'{"a": [1,\n2]} x'), _first_value(b'{"a":1,\n{"a":2}'), _first_value(b'{"a')
    ((13, True, True), (None, False, False), (None, False, True))
    """
    stack = bytearray()
    allowed, at, over_lines = b"v", 0, False
    for token in _TOKEN.finditer(text):
        new_line = text.find(b"\n", at, token.start()) >= 0
        at = token.end()
        if token["open"] is not None:  # a string that is cut off by the end of the head, or damaged
            return None, over_lines, b"\n" not in token["open"]
        byte = token[0][:1]
        is_key = byte == b'"' and allowed in (b"s}", b"s")
        kind = b"s" if is_key else byte if byte in b"}],:" else b"v"
        if kind not in allowed:
            return None, over_lines, False
        over_lines |= new_line
        if byte in b"{[":
            stack += byte
            if len(stack) > MAX_NESTING + 2:  # too deep for a record, even in a list of an object
                return None, over_lines, False
            allowed = _AFTER[byte]
        elif byte in b"}]":
            stack.pop()
            if not stack:
                return at, over_lines, True
            allowed = _AFTER[b"v" + stack[-1:]]
        elif byte == b":":
            allowed = _AFTER[b":"]
        elif byte == b",":
            allowed = _AFTER[b"," + stack[-1:]]
        else:
            allowed = _AFTER[kind + stack[-1:]]
    return None, over_lines, True
