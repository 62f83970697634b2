"""Decompresses a stream piece by piece, with bounded memory, and says where it breaks off.

However much a few bytes decompress to, at most `PIECE` of it are held. Members that follow each
other in one file are read to the last, as gzip, bzip2, xz and zstd do themselves.
"""

import bz2
import lzma
import zlib
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Protocol

import zstandard

PIECE = 1 << 17
"""Bytes of one decompressed piece, at most."""

INPUT = 1 << 14
"""Compressed bytes that are given to a decompressor at a time, at most."""

MAX_WINDOW_BYTES = 128 << 20
"""Memory that decompressing may need: what zstd allows by default, and twice what xz -9 needs."""


class Codec(str, Enum):
    """How a shard can be compressed."""

    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"


_MAGIC = {
    b"\x1f\x8b": Codec.GZIP,
    b"BZh": Codec.BZIP2,
    b"\xfd7zXZ\0": Codec.XZ,
    b"\x28\xb5\x2f\xfd": Codec.ZSTD,
}
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
"""The magic number of a zstd frame without data, after a first byte from 0x50 to 0x5f."""


def codec_of(head: bytes) -> Codec | None:
    r"""How a file is compressed that begins with `head`, or None.

    >>> codec_of(b"\x1f\x8b\x08"), codec_of(b"[")
    (<Codec.GZIP: 'gzip'>, None)
    """
    for magic, codec in _MAGIC.items():
        if head.startswith(magic):
            return codec
    return Codec.ZSTD if _is_skippable(head[:4]) else None


def _is_skippable(magic: bytes) -> bool:
    return magic[1:] == _SKIPPABLE and magic[0] & 0xF0 == 0x50


class _Broken(Exception):
    """The stream cannot be read any further. Its argument says why."""


class Unpacked:
    """The decompressed pieces of a compressed file, to be iterated once. Never raises.

    `blocks` are the bytes of the file, and `size` is their number. At the end, `done` is the number
    of decompressed bytes, `left` that of the compressed bytes that could not be read, and `fault`
    says why the stream breaks off; it is "" if it was read to its end.
    """

    def __init__(self, codec: Codec, blocks: Iterable[bytes], size: int) -> None:
        self._codec = codec
        self._source = _Source(blocks)
        self._size = size
        self.done = 0
        self.left = 0
        self.fault = ""

    def __iter__(self) -> Iterator[bytes]:
        read = _zstd if self._codec is Codec.ZSTD else _members
        try:
            for piece in read(self._codec, self._source):
                self.done += len(piece)
                yield piece
        except _Broken as why:
            name = f"the {self._codec.value} stream"
            self.fault = f"{name} {why}, after {self.done} decompressed bytes"
            self.left = max(0, self._size - self._source.taken)

    @property
    def taken(self) -> int:
        """Compressed bytes that were read so far."""
        return self._source.taken

    @property
    def lost(self) -> int:
        """Decompressed bytes that could not be read, estimated by the ratio of what was read."""
        read = self._size - self.left
        return self.left * self.done // read if self.done and read else self.left


_EARLY = "ends early"
_DAMAGED = "is damaged"
_FOREIGN = "is followed by something else"
_CHECKSUM = "has a wrong checksum, so any of its records may be damaged"
_LARGE = (
    f"needs more than {MAX_WINDOW_BYTES >> 20} MiB of memory; compress the file again with a "
    "smaller window (xz -9, zstd --long=27, or less)"
)


class _Source:
    """The bytes of a file. `taken` is the number of those that were taken."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._block = b""
        self._at = 0  # in the block
        self.taken = 0

    def some(self, most: int = INPUT) -> bytes:
        """The next bytes, one at least and `most` at most; none at the end."""
        while self._at == len(self._block):
            block = next(self._blocks, None)
            if block is None:
                return b""
            self._block, self._at = block, 0
        data = self._block[self._at : self._at + most]
        self._at += len(data)
        self.taken += len(data)
        return data

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end."""
        parts: list[bytes] = []
        while count and (data := self.some(count)):
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def give_back(self, data: bytes) -> None:
        """Makes bytes that were taken last the next ones."""
        self.taken -= len(data)
        if len(data) <= self._at:
            self._at -= len(data)
        else:  # they were in several blocks
            self._block, self._at = data + self._block[self._at :], 0


class _Decoder(Protocol):
    """A decompressor of one member, as in `bz2` and `lzma`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """A decompressor of one gzip member."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        made = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = not self._zlib.unconsumed_tail and len(made) < max_length
        return made


def _decoder(codec: Codec) -> _Decoder:
    if codec is Codec.GZIP:
        return _Gzip()
    if codec is Codec.BZIP2:
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_WINDOW_BYTES)


def _members(codec: Codec, source: _Source) -> Iterator[bytes]:
    """The pieces of gzip, bzip2 or xz."""
    magic = next(magic for magic, one in _MAGIC.items() if one is codec)
    while data := source.some():
        # Members may be followed by zeros, and xz pads to four bytes.
        source.give_back(data.lstrip(b"\0"))
        start = source.take(len(magic))
        source.give_back(start)
        if not magic.startswith(start):
            raise _Broken(_FOREIGN)
        if start:
            yield from _member(_decoder(codec), source)


def _member(decoder: _Decoder, source: _Source) -> Iterator[bytes]:
    data = source.some()
    while True:
        try:
            piece = decoder.decompress(data, PIECE)
        except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
            source.give_back(data)
            if "Memory usage limit" in str(error):
                raise _Broken(_LARGE) from None
            # Only gzip says why.
            is_checksum = "incorrect data check" in str(error)
            raise _Broken(_CHECKSUM if is_checksum else _DAMAGED) from None
        if piece:
            yield piece
        if decoder.eof:
            source.give_back(decoder.unused_data)
            return
        data = b""
        if decoder.needs_input and not (data := source.some()):
            raise _Broken(_EARLY)


def _zstd(codec: Codec, source: _Source) -> Iterator[bytes]:
    """The pieces of zstd. It is fed block by block, because a block has at most 128 KiB.

    Source: RFC 8878, "Zstandard Frames". The library alone would decompress all that it is given at
    once, and does not say that a frame ends early.
    """
    del codec
    at_first = True
    while magic := source.take(4):
        if _is_skippable(magic):
            _skip(source, int.from_bytes(_all(source, 4), "little"))
        elif magic == _ZSTD:
            yield from _frame(source)
        else:
            source.give_back(magic)
            raise _Broken(_DAMAGED if at_first else _FOREIGN)
        at_first = False


def _frame(source: _Source) -> Iterator[bytes]:
    start = _all(source, 1)
    flags = start[0]
    single, has_checksum = flags >> 5 & 1, flags >> 2 & 1
    length = (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6] + (not single)
    header = _ZSTD + start + _all(source, length)
    try:
        if zstandard.get_frame_parameters(header).window_size > MAX_WINDOW_BYTES:
            raise _Broken(_LARGE)
        decoder = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj(PIECE)
        yield from _some(decoder.decompress(header))
        last = False
        while not last:
            begin = _all(source, 3)
            told = int.from_bytes(begin, "little")
            last, kind, size = bool(told & 1), told >> 1 & 3, told >> 3
            yield from _some(decoder.decompress(begin + _all(source, 1 if kind == 1 else size)))
        if has_checksum:
            yield from _some(decoder.decompress(_all(source, 4)))
    except zstandard.ZstdError as error:
        raise _Broken(_CHECKSUM if "checksum" in str(error) else _DAMAGED) from None
    if not decoder.eof:
        raise _Broken(_DAMAGED)


def _some(piece: bytes) -> Iterator[bytes]:
    if piece:
        yield piece


def _all(source: _Source, count: int) -> bytes:
    data = source.take(count)
    if len(data) < count:
        raise _Broken(_EARLY)
    return data


def _skip(source: _Source, count: int) -> None:
    while count:
        data = source.some(count)
        if not data:
            raise _Broken(_EARLY)
        count -= len(data)
