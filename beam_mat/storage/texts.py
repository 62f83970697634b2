"""The JSON text of a shard, and where its records are in it.

The text is the shard itself, or what it decompresses to. Later steps read byte ranges of the text,
so a compressed shard is decompressed once, into a copy that is removed when the work is done.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.compression import Codec, Unpacked, codec_of
from beam_mat.core.detect import HEAD_BYTES, Head, Packed, Wrapped, detect
from beam_mat.core.errors import ShardError
from beam_mat.core.limits import MAX_RECORD_BYTES
from beam_mat.core.scan import Break, Layout, Span, scan
from beam_mat.core.wrapper import Outline, choose, outline
from beam_mat.storage import files

_MAGIC_BYTES = 8


class Text(Protocol):
    """A JSON text.

    `head` returns its first bytes, about `count`, and whether these are all. `blocks` yields its
    bytes from `start` to `end`, or to its end.
    """

    def head(self, count: int) -> tuple[bytes, bool]: ...
    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]: ...


class FileText(msgspec.Struct, frozen=True):
    """A text that is a file."""

    uri: str
    size: int

    def head(self, count: int) -> tuple[bytes, bool]:
        return files.read_range(self.uri, 0, min(count, self.size)), self.size <= count

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return files.read_blocks(self.uri, start, self.size if end is None else end)


class PackedText(msgspec.Struct, frozen=True):
    """A text that is decompressed anew each time that it is read, from its beginning.

    Raises a ShardError if nothing of it can be decompressed.
    """

    shard: Shard
    codec: Codec

    def head(self, count: int) -> tuple[bytes, bool]:
        # A store would send much more than is needed.
        for size in sorted({min(count, self.shard.size), self.shard.size}):
            unpacked = Unpacked(self.codec, files.read_blocks(self.shard.uri, 0, size), size)
            head = bytearray()
            for piece in unpacked:
                head += piece
                if len(head) > count:
                    return bytes(head), False
        _require_some(self.shard, unpacked)
        return bytes(head), True

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        unpacked = _unpacked(self.shard, self.codec)
        at = 0
        for piece in unpacked:
            begin, at = at, at + len(piece)
            if end is not None and begin >= end:
                return
            part = piece[max(0, start - begin) : len(piece) if end is None else end - begin]
            if at > start and part:
                yield part
        _require_some(self.shard, unpacked)


def compression(shard: Shard) -> Codec | None:
    """How a shard is compressed, from its first bytes. None if it is not."""
    return codec_of(files.read_range(shard.uri, 0, min(_MAGIC_BYTES, shard.size)))


def unpack(shard: Shard, codec: Codec, copy: str) -> Unpacked:
    """Decompresses a shard into the file `copy`, which appears whole or not at all.

    A stream that breaks off is no error: the copy has what could be read. Raises a ShardError if
    that is nothing.
    """
    unpacked = _unpacked(shard, codec)
    with files.write(copy, scratch=copy.rpartition("/")[0]) as file:
        for piece in unpacked:
            file.write(piece)
        _require_some(shard, unpacked)
    return unpacked


def _unpacked(shard: Shard, codec: Codec) -> Unpacked:
    return Unpacked(codec, files.read_blocks(shard.uri, 0, shard.size), shard.size)


def _require_some(shard: Shard, unpacked: Unpacked) -> None:
    if unpacked.fault and not unpacked.done:
        raise ShardError(f"{shard.uri}: {unpacked.fault}; download it again")


class Found(msgspec.Struct, frozen=True):
    """Where the records are: from `offset` to `end`, or to the end of the text.

    If they are in a list of one object, `key` is its key, and `after` says what is wrong behind it.
    """

    layout: Layout
    offset: int
    end: int | None = None
    key: str = ""
    after: Break | None = None


def find(text: Text, records: str) -> Found | str:
    """Finds the records of a text, or says why there are none.

    `records` is the key of the list of records in a text that is one object, or "" to find it. Such
    an object is read to its end.
    """
    head, whole = text.head(HEAD_BYTES)
    found = detect(head, whole=whole)
    if found is None:
        head, whole = text.head(MAX_RECORD_BYTES + HEAD_BYTES)
        found = detect(head, whole=whole)
    match found:
        case Head():
            return Found(found.layout, found.offset)
        case Wrapped():
            seen = outline(text.blocks(found.offset), found.offset)
            return _in_object(found, seen, records)
        case Packed():
            return f"the file is compressed with {found.codec.value}; decompress it once"
        case Break():
            return found.detail
        case None:  # the first line ends, but not within the size of a record
            return Found(Layout.LINES, 0)


def _in_object(wrapped: Wrapped, seen: Outline, records: str) -> Found | str:
    if seen.trailing is not None and not wrapped.over_lines:
        return Found(Layout.LINES, 0)
    chosen = choose(seen, records)
    if not wrapped.over_lines and (chosen is None or not seen.lists):
        return Found(Layout.LINES, 0)  # one record
    if chosen is None:
        return (
            "the file is a single record over several lines; write an array of records or JSON "
            "Lines, or name the key of a list of records with --records"
        )
    if isinstance(chosen, str):
        return chosen
    after = None
    if seen.trailing is not None:
        after = Break(seen.trailing, "there is data after the end of the object")
    elif seen.end is None and chosen.end is not None:
        after = Break(
            chosen.end, f"the file ends inside the object, behind the list {chosen.key!r}"
        )
    return Found(Layout.ARRAY, chosen.start, chosen.end, chosen.key, after)


def spans(text: Text, found: Found) -> Iterator[Span | Break]:
    """Yields the spans of the records in a text, and finally at most one Break."""
    last: Span | Break | None = None
    blocks: Iterable[bytes] = text.blocks(found.offset, found.end)
    for last in scan(found.layout, blocks, found.offset):
        yield last
    if found.after and not isinstance(last, Break):
        yield found.after
