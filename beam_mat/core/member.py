"""Image files in an archive or a folder, and how their bytes are read and checked."""

import contextlib
import hashlib
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from enum import Enum
from operator import attrgetter
from typing import Any

import msgspec

from beam_mat.core import inline
from beam_mat.core.image import ImageFault
from beam_mat.core.limits import MAX_COMPRESSION_RATIO, MAX_IMAGE_BYTES, RATIO_FREE_BYTES
from beam_mat.core.reject import Reason

zlib_ng: Any
try:
    from zlib_ng import zlib_ng
except ImportError:
    zlib_ng = None

LOCAL_HEADER = struct.Struct("<4s2B4HL2L2H")
LOCAL_SIGNATURE = b"PK\x03\x04"
ENCRYPTED = 0x1


class Packing(str, Enum):
    """How a member's bytes are stored in their source."""

    FILE = "file"
    PLAIN = "plain"
    """As in a tar: the bytes of the file and nothing else."""
    STORED = "stored"
    DEFLATED = "deflated"
    INLINE = "inline"
    UNSUPPORTED = "unsupported"


INLINE_ORDER = 1 << 30
"""Above the order of every source: an image inside a record is used if no source has it."""


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """A file with the bytes `begin` to `end` of an archive."""

    uri: str
    begin: int
    end: int


class Member(msgspec.Struct, frozen=True, array_like=True):
    """One image file in an archive or a folder.

    Attributes:
        path: Path in the source, by which records refer to it.
        source: URI of the archive, or of the file itself if the source is a folder.
        order: Position of the source among the job's; of equal paths, the lowest position counts.
        offset: Of the entry in the archive. In a folder, the size of all files before this one.
        end: Upper bound of the entry's end: the offset of the next entry if plausible.
        size, packed: Uncompressed size, and size in the source.
        crc: CRC-32 of the uncompressed bytes, or None if the source has none.
        fault: Why the entry cannot be used, according to the archive's directory, or None.
        batch: Number of the batch of its source that it belongs to, see `batched`.
        version: For a file in a folder, and for an image in a record, a value that changes when the
            content changes.
        pieces: The files with the entry's bytes, if the archive is not one file, see `ranges`.
    """

    path: str
    source: str
    order: int
    offset: int
    end: int
    size: int
    packed: int
    packing: Packing
    crc: int | None = None
    fault: ImageFault | None = None
    batch: int = 0
    version: str = ""
    pieces: tuple[Piece, ...] = ()

    @property
    def place(self) -> str:
        """URI of a file with bytes of the entry. All bytes of a source are on the same store."""
        return self.pieces[0].uri if self.pieces else self.source

    def ranges(self) -> list[tuple[str, int, int]]:
        """The ranges (URI, start, end) that together have the bytes of the entry."""
        if self.packing is Packing.FILE:
            return [(self.source, 0, self.size)]
        if not self.pieces:
            return [(self.source, self.offset, self.end)]
        return ranges(self.pieces, self.offset, self.end)

    def origin(self, source_version: str, image_digest: str) -> str:
        """A hash, in 24 hexadecimal digits, of everything that determines the converted image.

        The version of the source does not matter for a file in a folder, which has its own.
        """
        if self.packing is Packing.FILE:
            place = [self.version, self.size]
        else:
            place = [source_version, self.offset, self.size, self.crc]
        key = msgspec.json.encode([image_digest, self.source, *place])
        return hashlib.sha256(key).hexdigest()[:24]


def ranges(pieces: Iterable[Piece], start: int, end: int) -> list[tuple[str, int, int]]:
    """The ranges (URI, start, end) of the pieces that have the bytes `start` to `end`.

    >>> ranges([Piece("a", 0, 10), Piece("b", 10, 30)], 8, 12)
    [('a', 8, 10), ('b', 0, 2)]
    """
    return [
        (piece.uri, max(start, piece.begin) - piece.begin, min(end, piece.end) - piece.begin)
        for piece in pieces
        if start < piece.end and piece.begin < end
    ]


def best(path: str, members: Iterable[Member]) -> Member | None:
    """The member that a path in records means, among those with a spelling of the path.

    The same spelling counts first, then the order of the sources. Another spelling (another Unicode
    normal form) counts if no member has the same one, and the others have only one. The member that
    is returned has the path as records have it.
    """
    known = list(members)
    exact = [member for member in known if member.path == path]
    if not exact and len({member.path for member in known}) > 1:
        return None
    found = min(exact or known, key=attrgetter("order", "offset"), default=None)
    return found and msgspec.structs.replace(found, path=path)


BATCH_BYTES = 32 << 20
BATCH_MEMBERS = 4000


def batched(members: Iterable[Member]) -> Iterator[Member]:
    """Assigns the members of a source, ordered by offset, to numbered batches: the units of work.

    A batch spans about BATCH_BYTES and holds at most BATCH_MEMBERS. The boundaries depend only on
    the source, not on which images the records use.
    """
    number = count = begin = 0
    for member in members:
        if count == BATCH_MEMBERS or member.end - begin > BATCH_BYTES:
            number, count, begin = number + 1, 0, member.offset
        count += 1
        yield msgspec.structs.replace(member, batch=number)


def entry_fault(
    *, flags: int, mode: int, method: int, packing: Packing, size: int, packed: int
) -> ImageFault | None:
    """Why a zip entry cannot be used, decided from the directory before reading the entry.

    `mode` is 0 if unknown; `packing` is the compression method `method`.
    """
    if flags & ENCRYPTED:
        return ImageFault(Reason.MEMBER_UNSUPPORTED, "the entry is encrypted")
    if stat.S_ISLNK(mode):
        return ImageFault(Reason.MEMBER_UNSUPPORTED, "the entry is a symbolic link")
    if packing is Packing.UNSUPPORTED:
        detail = f"compression method {method} is not supported"
        return ImageFault(Reason.MEMBER_UNSUPPORTED, detail)
    # Deflate adds a few bytes to data that it cannot compress. The extra megabyte is enough.
    if size > MAX_IMAGE_BYTES or packed > MAX_IMAGE_BYTES + RATIO_FREE_BYTES:
        found = f"the file has {size} bytes ({packed} in the zip)"
        return ImageFault(Reason.IMAGE_TOO_LARGE, f"{found}; the limit is {MAX_IMAGE_BYTES}")
    if size > RATIO_FREE_BYTES and size > packed * MAX_COMPRESSION_RATIO:
        found = f"{packed} bytes would decompress to {size} bytes"
        limit = f"the limit is a ratio of {MAX_COMPRESSION_RATIO} to 1"
        return ImageFault(Reason.IMAGE_TOO_LARGE, f"{found}; {limit}")
    return None


def too_large(size: int) -> ImageFault:
    """The fault of a file that is larger than MAX_IMAGE_BYTES."""
    detail = f"{size} bytes, and {MAX_IMAGE_BYTES} are allowed"
    return ImageFault(Reason.IMAGE_TOO_LARGE, detail)


def unpack(member: Member, entry: memoryview) -> bytes | ImageFault:
    """Extracts a member's file and checks it against the length and CRC in the directory.

    It never uses more memory than the size in the directory. `entry` has the source's bytes from
    `Member.offset` to `Member.end`.
    """
    if member.packing is Packing.FILE:
        return bytes(entry)
    if member.packing is Packing.INLINE:
        made = inline.from_json(bytes(entry))
        if made is None or made[0] != member.path:
            return _damaged("the record no longer has the image here")
        return made[1]
    if member.packing is Packing.PLAIN:
        data = bytes(entry)
        if len(data) != member.size:
            return _damaged(f"only {len(data)} of {member.size} bytes are there")
        return data
    if len(entry) < LOCAL_HEADER.size or bytes(entry[:4]) != LOCAL_SIGNATURE:
        return _damaged("there is no entry at the offset that the directory gives")
    fields = LOCAL_HEADER.unpack_from(entry)
    begin = LOCAL_HEADER.size + fields[-2] + fields[-1]
    packed = entry[begin : begin + member.packed]
    if len(packed) != member.packed:
        found = f"only {len(packed)} of {member.packed} bytes"
        return _damaged(f"there are {found} before the next entry")
    if member.packing is Packing.STORED:
        data = bytes(packed)
    else:
        try:
            data = _inflated(packed, max(1, member.size))
        except zlib.error as error:
            return _damaged(str(error))
    if len(data) != member.size:
        found = f"the entry decompresses to {len(data)} bytes"
        return _damaged(f"{found}, but the directory says {member.size}")
    crc = zlib.crc32(data)
    if crc != member.crc:
        return _damaged(f"the CRC-32 is {crc:08x}, but the directory says {member.crc:08x}")
    return data


def _inflated(packed: memoryview, most: int) -> bytes:
    if zlib_ng is not None:
        # Twice as fast. What it refuses is left to zlib, whose messages are the same everywhere.
        with contextlib.suppress(zlib_ng.error, ValueError):
            data = bytes(zlib_ng.decompressobj(-zlib.MAX_WBITS).decompress(packed, most))
            if len(data) == most:
                return data
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most)


def _damaged(detail: str) -> ImageFault:
    return ImageFault(Reason.MEMBER_DAMAGED, detail)


MAX_READ = 1 << 23
MAX_WASTE = 32
"""A read may contain one unneeded byte for this many needed bytes."""


def coalesce(members: Iterable[Member]) -> Iterator[list[Member]]:
    """Groups members into runs, each of which is worth a single read.

    A run of several members is in one archive and spans at most MAX_READ bytes.
    """
    run: list[Member] = []
    end = wanted = 0
    for member in sorted(members, key=lambda member: (member.source, member.offset)):
        if run:
            # If members overlap, each byte counts once.
            both = wanted + max(0, member.end - max(member.offset, end))
            span = max(end, member.end) - run[0].offset
            if (
                member.source == run[0].source
                and member.packing is not Packing.FILE
                and _touch(run[-1].pieces, member.pieces)
                and span <= MAX_READ
                and (span - both) * MAX_WASTE <= both
            ):
                run.append(member)
                end, wanted = max(end, member.end), both
                continue
            yield run
        run, end, wanted = [member], member.end, member.end - member.offset
    if run:
        yield run


def _touch(before: tuple[Piece, ...], after: tuple[Piece, ...]) -> bool:
    """Whether no other piece is between those of two members that follow each other."""
    return not before or not after or after[0].begin <= before[-1].end


def range_of(run: list[Member]) -> list[tuple[str, int, int]]:
    """The ranges (URI, start, end) that together have the bytes of a run, see `coalesce`."""
    first = run[0]
    if first.packing is Packing.FILE or len(run) == 1:
        return first.ranges()
    end = max(member.end for member in run)
    if not first.pieces:
        return [(first.source, first.offset, end)]
    pieces = {piece.begin: piece for member in run for piece in member.pieces}
    return ranges((pieces[begin] for begin in sorted(pieces)), first.offset, end)
