"""Decompresses a tar into a work file, so that its images can be read in place.

A compressed stream can only be read from its beginning. So it is read once, and what comes out is
written, block by block, to a file below ``_beam_mat/`` of the output.
"""

import gzip
import hashlib
import io
import lzma
import zlib
from bz2 import BZ2Decompressor
from collections.abc import Iterable, Iterator
from typing import Any

import zstandard

from beam_mat.core import tar
from beam_mat.core.archive_kind import Kind
from beam_mat.core.errors import SourceError
from beam_mat.core.limits import MAX_COMPRESSION_RATIO, RATIO_FREE_BYTES
from beam_mat.storage import files
from beam_mat.storage.archives import Archive, whole

_BLOCK = 1 << 20
_MAX_WINDOW = 128 << 20
"""Bytes that a decompressor may keep: what ``xz -9`` and ``zstd --long`` need."""

_ZSTD_INPUT = 2 << 10
"""Bytes that are decompressed at once. They give at most 64 MiB: 128 KiB for each four bytes."""

_ERRORS = (EOFError, OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


def unpacked(archive: Archive, kind: Kind, folder: str, scratch: str) -> Archive:
    """Returns the tar that a compressed archive contains, as a file in `folder`.

    The file is named for the archive's content, so a file that is there need not be written again.
    Those of earlier contents of the same archive are removed. Raises a SourceError if the archive
    is damaged or cut off, or contains no tar.
    """
    source = hashlib.sha256(archive.uri.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    content = hashlib.sha256(f"{archive.size} {archive.version}".encode()).hexdigest()[:16]
    target = files.join(folder, f"{source}-{content}.tar")
    for name, file in files.find(folder):
        if name.startswith(source) and not target.endswith(name):
            files.remove_file(file.uri)
    found = files.file_at(target)
    if found is None:
        with files.write(target, scratch) as out:
            for block in decompressed(archive, kind):
                out.write(block)
        found = files.info(target)
    return whole(found)


def decompressed(archive: Archive, kind: Kind) -> Iterator[bytes]:
    """Yields what a compressed archive contains, in blocks of bounded size.

    Raises a SourceError if it is damaged, cut off or no tar.
    """
    size = 0
    read = _Counted(archive.blocks(0, archive.size))
    blocks = _blocks(kind, read)
    try:
        first = b""
        while len(first) < tar.BLOCK and (block := next(blocks, b"")):
            first += block
        if not tar.begins(first):
            raise SourceError(
                f"{archive.uri}: is compressed by {kind.value}, but it contains no tar; "
                "decompress it, and give the files in it to --images"
            )
        while first:
            size += len(first)
            if size > RATIO_FREE_BYTES + MAX_COMPRESSION_RATIO * read.bytes:
                raise SourceError(
                    f"{archive.uri}: {read.bytes} bytes decompress to more than {size}, and "
                    f"{MAX_COMPRESSION_RATIO} to 1 are allowed; pack it again"
                )
            yield first
            first = next(blocks, b"")
    except _ERRORS as error:
        if isinstance(error, OSError) and error.errno:
            raise  # an error of the disk, not of a decompressor
        raise SourceError(
            f"{archive.uri}: is damaged or cut off ({error}); download or pack it again"
        ) from error


class _Counted:
    """Blocks, and how many bytes of them were taken."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.bytes += len(block)
            yield block


def _blocks(kind: Kind, blocks: Iterable[bytes]) -> Iterator[bytes]:
    if kind is Kind.BZIP2:
        yield from _streams(BZ2Decompressor, blocks)
    elif kind is Kind.XZ:
        yield from _streams(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MAX_WINDOW), blocks)
    elif kind is Kind.ZSTD:
        yield from _zstd_frames(blocks)
    else:
        reader = gzip.GzipFile(fileobj=io.BufferedReader(_Reader(blocks), _BLOCK))
        while block := reader.read(_BLOCK):
            yield block


def _streams(begin: Any, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompresses streams that follow each other, as parallel compressors write them."""
    stream, is_new = begin(), True
    for block in blocks:
        data = block
        while data or not (is_new or stream.needs_input):
            if is_new:
                data = data.lstrip(b"\0")  # xz allows zeros between streams
                if not data:
                    break
            out, data, is_new = stream.decompress(data, _BLOCK), b"", False
            if stream.eof:
                data = stream.unused_data
                stream, is_new = begin(), True
            if out:
                yield out
    if not is_new:
        raise EOFError("the compressed data ends too early")


def _zstd_frames(blocks: Iterable[bytes]) -> Iterator[bytes]:
    # The library's reader of streams takes one that is cut off for complete.
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    frame = None
    for block in blocks:
        for at in range(0, len(block), _ZSTD_INPUT):
            data = block[at : at + _ZSTD_INPUT]
            while data:
                frame = frame or decompressor.decompressobj()
                out = frame.decompress(data)
                data, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
                if out:
                    yield out
    if frame:
        raise EOFError("the compressed data ends too early")


class _Reader(io.RawIOBase):
    """A file of blocks that come one after the other."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(next(self._blocks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
