"""Finds where records begin and end in a JSON shard, in one pass and in bounded memory.

Only the structure is read: strings, brackets, commas, line ends. Whether the bytes between two
boundaries are valid JSON is for `beam_mat.core.record` to say, so that one malformed record costs
just itself. A scanner keeps offsets, never bytes: a record of any size passes through a rolling
buffer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec

HEAD_BYTES = 1 << 16
"""How much of a shard `detect` looks at."""


class Layout(str, Enum):
    """How a shard strings its records together."""

    ARRAY = "array"
    LINES = "lines"


class Span(msgspec.Struct, frozen=True):
    """The byte range ``[start, end)`` of one record in its shard."""

    start: int
    end: int


class Break(msgspec.Struct, frozen=True):
    """From byte `start` to the end of the shard nothing can be told apart, and why."""

    start: int
    detail: str


class Head(msgspec.Struct, frozen=True):
    """A shard's layout and the offset at which its records begin."""

    layout: Layout
    offset: int


COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
UTF8_BOM = b"\xef\xbb\xbf"
OBJECT_OVER_LINES = re.compile(rb"\{[ \t\r]*\n")
_SPACE = b" \t\n\r"


def detect(head: bytes) -> Head | Break:
    r"""Tells a shard's layout from its first `HEAD_BYTES` bytes.

    >>> detect(b'[{"id": 1}]')
    Head(layout=<Layout.ARRAY: 'array'>, offset=1)
    >>> detect(b'{"id": 1}\n{"id": 2}\n').layout
    <Layout.LINES: 'lines'>
    >>> detect(b"<html>").detail
    "not JSON: it starts with b'<html>'"
    """
    if not head:
        return Break(0, "the file is empty")
    for magic, name in COMPRESSED.items():
        if head.startswith(magic):
            return Break(0, f"the file is {name}-compressed; unpack it first")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head[:4]:
        return Break(0, "the text is UTF-16 or UTF-32; write it as UTF-8")
    begin = len(UTF8_BOM) if head.startswith(UTF8_BOM) else 0
    text = head[begin:].lstrip(_SPACE)
    first = len(head) - len(text)
    if text.startswith(b"["):
        return Head(Layout.ARRAY, first + 1)
    if OBJECT_OVER_LINES.match(text):
        return Break(
            first,
            "the shard is one object over many lines; write an array of records or JSON Lines",
        )
    if not text or text.startswith(b"{") or re.search(rb"\n[ \t\r]*\{", text):
        return Head(Layout.LINES, begin)
    return Break(first, f"not JSON: it starts with {text[:20]!r}")


def scan(layout: Layout, blocks: Iterable[bytes], offset: int) -> Iterator[Span | Break]:
    """Yields each record's span in order, and at most one `Break`, last.

    Args:
        layout: As told by `detect`.
        blocks: The shard's bytes from `offset` on, cut anywhere.
        offset: Where in the shard the first block begins.
    """
    return (_scan_array if layout is Layout.ARRAY else _scan_lines)(blocks, offset)


def scan_chunk(layout: Layout, blocks: Iterable[bytes], offset: int) -> Iterator[Span]:
    """Yields the spans of a run of whole records: what lies between two chunk boundaries."""
    if layout is Layout.ARRAY:
        # A chunk ends with its last record: closing the array ends that record too.
        blocks = _followed_by_bracket(blocks)
    for found in scan(layout, blocks, offset):
        if isinstance(found, Break):
            raise ValueError(f"a boundary inside a record at byte {found.start}: {found.detail}")
        yield found


def _followed_by_bracket(blocks: Iterable[bytes]) -> Iterator[bytes]:
    yield from blocks
    yield b"]"


# Inside a record, up to the next bracket or unfinished string; escapes are blotted out before.
_INSIDE = re.compile(rb'(?:[^"\[\]{}]+|"[^"]*")*')
# Between records.
_BLANK = re.compile(rb"[ \t\n\r]*")
# The rest of a value that is neither string nor container (or of junk between two commas).
_SCALAR = re.compile(rb'[^"\[\]{},]*')


def _scan_array(blocks: Iterable[bytes], offset: int) -> Iterator[Span | Break]:
    """Scans what follows the opening bracket of an array. See `scan`."""
    start = -1  # where the record under way begins; -1 between records
    end = offset  # where its last byte other than white space ends
    depth = 0  # open brackets inside that record
    whole = False  # whether that record has come to the end of its object or list
    in_string = after_comma = closed = False
    base = offset
    for block in _without_escapes(blocks):
        pos, size = 0, len(block)
        while pos < size:
            if in_string:
                quote = block.find(b'"', pos)
                in_string = quote < 0
                pos = size if in_string else quote + 1
                end = base + pos
            elif depth:
                pos = _match_end(_INSIDE, block, pos)
                if pos < size:
                    byte = block[pos]
                    pos += 1
                    if byte == 0x22:
                        in_string = True
                    elif byte in b"[{":
                        depth += 1
                    else:
                        depth -= 1
                        whole = not depth
                end = base + pos
            elif start < 0 or closed:
                pos = _match_end(_BLANK, block, pos)
                if pos == size:
                    break
                byte = block[pos]
                if closed:
                    yield Break(base + pos, "data after the end of the array")
                    return
                if byte == 0x5D:
                    if after_comma:
                        yield Break(base + pos, "a comma with no record after it")
                        return
                    closed, pos = True, pos + 1
                elif byte == 0x2C:
                    yield Break(base + pos, "a comma with no record before it")
                    return
                elif byte == 0x7D:
                    yield Break(base + pos, "a closing brace between two records")
                    return
                else:
                    start, whole = base + pos, False
            else:
                stop = _match_end(_SCALAR, block, pos)
                text = block[pos:stop].rstrip(_SPACE)
                if text:
                    end, whole = base + pos + len(text), False
                pos = stop
                if pos == size:
                    break
                byte = block[pos]
                pos += 1
                if byte == 0x22:
                    in_string = True
                elif byte in b"[{":
                    depth = 1
                elif byte == 0x7D:
                    yield Break(start, "a closing brace that nothing opened")
                    return
                else:
                    yield Span(start, end)
                    start, after_comma, closed = -1, byte == 0x2C, byte == 0x5D
                    continue
                end = base + pos
        base += size
    if closed:
        return
    if start >= 0 and whole and not depth:
        yield Span(start, end)
        start = -1
    if start >= 0:
        yield Break(start, f"the array breaks off inside a record, at byte {base}")
    else:
        yield Break(base, "the array breaks off after a whole record, without its closing bracket")


def _match_end(pattern: re.Pattern[bytes], block: bytes, pos: int) -> int:
    found = pattern.match(block, pos)
    assert found is not None  # every pattern here matches the empty text too
    return found.end()


def _without_escapes(blocks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Blots out escaped backslashes and quotes, so that every quote left begins or ends a string.

    Blocks keep their lengths, and the result does not depend on where they are cut.

    >>> list(_without_escapes([rb'"a\"b" "c\\"', b'"d' + rb"\\\ "[:3], b'""']))
    [b'"a__b" "c__"', b'"d__\\', b'_"']
    """
    escaped = False
    for block in blocks:
        is_cut = escaped and block[:1] in (b'"', b"\\")
        clean = (
            (b"_" + block[1:] if is_cut else block).replace(rb"\\", b"__").replace(rb"\"", b"__")
        )
        escaped = clean.endswith(b"\\") if block else escaped
        yield clean


def _scan_lines(blocks: Iterable[bytes], offset: int) -> Iterator[Span | Break]:
    """Scans JSON Lines: each line that is not blank is a record. See `scan`."""
    start = end = -1
    base = offset
    some = False
    for block in blocks:
        pos, size = 0, len(block)
        while pos < size:
            if start < 0:
                pos = _match_end(_BLANK, block, pos)
                if pos == size:
                    break
                start = base + pos
            newline = block.find(b"\n", pos)
            stop = size if newline < 0 else newline
            text = block[pos:stop].rstrip(_SPACE)
            if text:
                end = base + pos + len(text)
            if newline >= 0:
                yield Span(start, end)
                start, some = -1, True
            pos = stop + 1
        base += size
    if start >= 0:
        yield Span(start, end)
    elif not some:
        yield Break(offset, "the file holds no record")
