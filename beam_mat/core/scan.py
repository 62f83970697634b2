"""Finds where records begin and end in a JSON shard, in one pass and with bounded memory.

The scanner reads only the structure: strings, brackets, commas and line ends. Whether a record is
valid JSON is checked later by `beam_mat.core.record`, so a malformed record does not affect the
others. The scanner keeps offsets and no bytes, so a record may have any size.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec


class Layout(str, Enum):
    """How a shard separates its records: as a JSON array or as JSON Lines."""

    ARRAY = "array"
    LINES = "lines"


class Span(msgspec.Struct, frozen=True):
    """The byte range ``[start, end)`` of one record in its shard."""

    start: int
    end: int


class Break(msgspec.Struct, frozen=True):
    """No records can be found between byte `start` and the end of the shard. Says why."""

    start: int
    detail: str


_SPACE = b" \t\n\r"


def scan(layout: Layout, blocks: Iterable[bytes], offset: int) -> Iterator[Span | Break]:
    """Yields the span of each record in order, and finally at most one `Break`.

    `layout` is from `beam_mat.core.detect`. `blocks` are the shard's bytes from the byte `offset`
    on, in blocks of any size.
    """
    return (_scan_array if layout is Layout.ARRAY else _scan_lines)(blocks, offset)


# Inside a record, up to the next bracket or unfinished string. Escapes are masked before.
_INSIDE = re.compile(rb'(?:[^"\[\]{}]+|"[^"]*")*')
# Between records.
_BLANK = re.compile(rb"[ \t\n\r]*")
# The rest of a value that is neither a string nor a container, or of junk between two commas.
_SCALAR = re.compile(rb'[^"\[\]{},]*')


def _scan_array(blocks: Iterable[bytes], offset: int) -> Iterator[Span | Break]:
    """Scans the bytes after the opening bracket of an array. See `scan`."""
    start = -1  # start of the current record; -1 between records
    end = offset  # end of its last byte that is not white space
    depth = 0  # number of open brackets inside the current record
    whole = False  # whether the object or list of the current record is complete
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
                    yield Break(base + pos, "there is data after the end of the array")
                    return
                if byte == 0x5D:
                    if after_comma:
                        yield Break(base + pos, "there is no record after a comma")
                        return
                    closed, pos = True, pos + 1
                elif byte == 0x2C:
                    yield Break(base + pos, "there is no record before a comma")
                    return
                elif byte == 0x7D:
                    yield Break(base + pos, "there is a closing brace between two records")
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
                    yield Break(start, "there is a closing brace without an opening brace")
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
        yield Break(start, f"the file ends inside a record, at byte {base}")
    else:
        yield Break(base, "the file ends after a whole record, without the array's closing bracket")


def _match_end(pattern: re.Pattern[bytes], block: bytes | bytearray, pos: int) -> int:
    found = pattern.match(block, pos)
    assert found is not None  # every pattern here also matches an empty text
    return found.end()


_QUOTE, _BACKSLASH, _MASK = b'"\\_'


def _without_escapes(blocks: Iterable[bytes]) -> Iterator[bytearray]:
    r"""Masks escaped quotes, so each remaining quote begins or ends a string.

    Blocks keep their lengths, and the result does not depend on the boundaries between blocks.

    >>> blocks = [rb'"a\"b" "c\\"', b'"d' + rb"\\\ "[:3], b'""']
    >>> print(*(block.decode() for block in _without_escapes(blocks)))
    "a\_b" "c\\" "d\\\ _"
    """
    escaped = False
    for block in blocks:
        clean = bytearray(block)
        if block:
            if escaped and clean[0] in (_QUOTE, _BACKSLASH):
                clean[0] = _MASK
            escaped = _mask(clean)
        yield clean


def _mask(block: bytearray) -> bool:
    """Masks escaped quotes. Returns whether the first byte of the next block is escaped."""
    import numpy as np  # takes a tenth of a second, which --help does not need

    codes = np.frombuffer(block, np.uint8)
    at = np.flatnonzero(codes == _BACKSLASH)
    if not len(at):
        return False
    # In a row of backslashes, the first one escapes the second, the third one the fourth.
    begins = np.append(True, at[1:] != at[:-1] + 1)
    in_row = at - np.maximum.accumulate(np.where(begins, at, 0))
    after = at[in_row & 1 == 0] + 1
    is_cut = bool(after[-1] == len(codes))
    after = after[: len(after) - is_cut]
    codes[after[codes[after] == _QUOTE]] = _MASK
    return is_cut


def _scan_lines(blocks: Iterable[bytes], offset: int) -> Iterator[Span | Break]:
    """Scans JSON Lines. Each line that is not blank is a record. See `scan`."""
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
        yield Break(offset, "the file has no records")
