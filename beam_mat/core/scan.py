"""Finds where records begin and end in a JSON shard, in one pass and with bounded memory.

The scanner reads only the structure: strings, brackets, commas and line ends. Whether a record is
valid JSON is checked later by `beam_mat.core.record`, so a malformed record does not affect the
others. The scanner keeps offsets and no bytes, so a record may have any size.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy.typing as npt

    _Array = npt.NDArray[Any]


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
    for block in without_escapes(blocks):
        pos, size = 0, len(block)
        inside = Inside(block, level=0)
        while pos < size:
            if depth:
                pos, in_string, depth = inside.leave(pos, in_string, depth)
                whole = not depth
                end = base + pos
            elif in_string:
                quote = block.find(b'"', pos)
                in_string = quote < 0
                pos = size if in_string else quote + 1
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
        if in_string:
            return  # a stray quotation mark: what follows it is part of this malformed record
        start = -1
    if start >= 0:
        yield Break(start, f"the file ends inside a record, at byte {base}")
    else:
        yield Break(base, "the file ends after a whole record, without the array's closing bracket")


class Inside:
    """Finds in a block where the depth of brackets returns from above to `level`.

    Escapes in `block` are masked.
    """

    def __init__(self, block: bytearray, level: int) -> None:
        self._block, self._level = block, level
        self._patience = 1 + (len(block) >> 7)
        self._places: list[int] = []  # all of them, in reverse, once the patience is at an end
        self._last = False, level  # state at the end of the block

    def leave(self, pos: int, in_string: bool, depth: int) -> tuple[int, bool, int]:
        """The place behind the bracket that returns to the level, or the end of the block.

        Takes and returns the state there: whether it is in a string, and the depth. From call to
        call `pos` must increase.
        """
        block, size, level = self._block, len(self._block), self._level
        while pos < size and depth > level and self._patience > 0:
            if in_string:
                quote = block.find(b'"', pos)
                in_string = quote < 0
                pos = size if in_string else quote + 1
                continue
            pos = _match_end(_INSIDE, block, pos)
            if pos < size:
                byte = block[pos]
                pos += 1
                self._patience -= 1
                if byte == 0x22:
                    in_string = True
                else:
                    depth += 1 if byte in b"[{" else -1
                if not self._patience:
                    self._count(pos, in_string, depth)
        if pos == size or depth == level:
            return pos, in_string, depth
        while self._places and self._places[-1] <= pos:
            self._places.pop()
        return (self._places[-1], False, level) if self._places else (size, *self._last)

    def _count(self, pos: int, in_string: bool, depth: int) -> None:
        """Counts all brackets from `pos` on at once: a record may have nothing else."""
        at, inside, steps, depths = _brackets(self._block, pos, in_string, depth)
        places = at[(steps < 0) & (depths == self._level)] + 1
        self._places = places[::-1].tolist()
        self._last = (bool(inside[-1]), int(depths[-1])) if len(at) else (in_string, depth)


def max_depth(text: bytes) -> int:
    """How deep the brackets of a JSON text are nested, even if the text is malformed.

    >>> max_depth(b'{"a": [[]], "[[[[": 1}'), max_depth(b"]["), max_depth(b"")
    (3, 0, 0)
    """
    (block,) = without_escapes([text])
    depths = _brackets(block, 0, False, 0)[3]
    return int(depths.max(initial=0))


def _brackets(
    block: bytearray, pos: int, in_string: bool, depth: int
) -> tuple["_Array", "_Array", "_Array", "_Array"]:
    """The brackets and quotes of a block from `pos` on, as four arrays.

    They are their places, whether a string is open after them, by how much they change the depth,
    and the depth after them.
    """
    import numpy as np  # takes a tenth of a second, which --help does not need

    codes = np.frombuffer(block, np.uint8)[pos:]
    lower = codes | 0x20  # makes braces of square brackets
    at = np.flatnonzero((codes == _QUOTE) | (lower == 0x7B) | (lower == 0x7D))
    kinds = lower[at]
    inside = np.logical_xor.accumulate(kinds == _QUOTE) ^ in_string
    steps = (kinds == 0x7B).view(np.int8) - (kinds == 0x7D).view(np.int8)
    steps[inside] = 0
    return at + pos, inside, steps, depth + np.cumsum(steps, dtype=np.int64)


def _match_end(pattern: re.Pattern[bytes], block: bytes | bytearray, pos: int) -> int:
    found = pattern.match(block, pos)
    assert found is not None  # every pattern here also matches an empty text
    return found.end()


_QUOTE, _BACKSLASH, _MASK = b'"\\_'


def without_escapes(blocks: Iterable[bytes]) -> Iterator[bytearray]:
    r"""Masks escaped quotes, so each remaining quote begins or ends a string.

    Blocks keep their lengths, and the result does not depend on the boundaries between blocks.

    >>> blocks = [rb'"a\"b" "c\\"', b'"d' + rb"\\\ "[:3], b'""']
    >>> print(*(block.decode() for block in without_escapes(blocks)))
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
