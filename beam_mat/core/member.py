"""Image files as they lie in their source, and how their bytes are fetched and checked."""

from __future__ import annotations

import hashlib
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec

from beam_mat.core.image import ImageFault
from beam_mat.core.limits import MAX_COMPRESSION_RATIO, MAX_IMAGE_BYTES, RATIO_FREE_BYTES
from beam_mat.core.reject import Reason

LOCAL_HEADER = struct.Struct("<4s2B4HL2L2H")
LOCAL_SIGNATURE = b"PK\x03\x04"
ENCRYPTED = 0x1


class Packing(str, Enum):
    """How a member's bytes lie in their source."""

    FILE = "file"
    STORED = "stored"
    DEFLATED = "deflated"
    UNSUPPORTED = "unsupported"


class Member(msgspec.Struct, frozen=True, array_like=True):
    """One image file in a zip or a folder.

    Attributes:
        path: Its name in the source; what records name it by.
        source: URI of the zip, or of the file itself for a file in a folder.
        order: Place of the source among the job's image sources; the lowest that has a path wins.
        offset: Where its entry begins in the zip. In a folder, the bytes of all files before it.
        end: Where the entry ends at the latest: the next one's begin, as far as that is credible.
        size: Bytes, unpacked.
        packed: Bytes, as they lie there.
        packing: How they lie there.
        crc: CRC-32 of the unpacked bytes, or None in a folder.
        fault: Why the entry cannot be used, as far as the directory tells.
        batch: Number of the stretch of its source that it belongs to, see `batched`.
        version: Of a file in a folder, what changes when its content does.
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

    def origin(self, source_version: str, image_digest: str) -> str:
        """A hash of what decides what becomes of this member: same origin, same outcome.

        Args:
            source_version: Of the zip that it is in; not used in a folder.
            image_digest: `Settings.image_digest`.
        """
        if self.packing is Packing.FILE:
            place = [self.version, self.size]
        else:
            place = [source_version, self.offset, self.size, self.crc]
        key = msgspec.json.encode([image_digest, self.source, *place])
        return hashlib.sha256(key).hexdigest()[:24]


BATCH_BYTES = 32 << 20
BATCH_MEMBERS = 4000


def batched(members: Iterable[Member]) -> Iterator[Member]:
    """Numbers stretches of a source whose members are one unit of work.

    A stretch spans about BATCH_BYTES and holds at most BATCH_MEMBERS: a function of the source
    alone, so that what records ask for never moves a boundary.

    Args:
        members: Of one source, in order of offset.
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
    """Why a zip entry cannot be used, judged before a byte of it is read.

    Args:
        flags: General purpose flags of the entry.
        mode: Unix mode bits, 0 when unknown.
        method: Number of the compression method, for the message.
        packing: What that method is to us.
        size: Bytes, unpacked, as the directory claims.
        packed: Bytes in the zip.
    """
    if flags & ENCRYPTED:
        return ImageFault(Reason.MEMBER_UNSUPPORTED, "the entry is encrypted")
    if stat.S_ISLNK(mode):
        return ImageFault(Reason.MEMBER_UNSUPPORTED, "the entry is a symbolic link")
    if packing is Packing.UNSUPPORTED:
        return ImageFault(Reason.MEMBER_UNSUPPORTED, f"compression method {method}")
    # Deflate adds a few bytes to what it cannot shrink: the free megabyte is room enough.
    if size > MAX_IMAGE_BYTES or packed > MAX_IMAGE_BYTES + RATIO_FREE_BYTES:
        detail = f"{packed} bytes, unpacked {size}; {MAX_IMAGE_BYTES} are allowed"
        return ImageFault(Reason.IMAGE_TOO_LARGE, detail)
    if size > RATIO_FREE_BYTES and size > packed * MAX_COMPRESSION_RATIO:
        detail = f"{packed} bytes would unpack to {size}, at most {MAX_COMPRESSION_RATIO} to 1"
        return ImageFault(Reason.IMAGE_TOO_LARGE, detail)
    return None


def unpack(member: Member, entry: memoryview) -> bytes | ImageFault:
    """The member's file, checked against the directory's length and CRC.

    Never spends more memory than the size that the directory claims.

    Args:
        member: What the directory says.
        entry: The source's bytes from `Member.offset` to `Member.end`.
    """
    if member.packing is Packing.FILE:
        return bytes(entry)
    if len(entry) < LOCAL_HEADER.size or bytes(entry[:4]) != LOCAL_SIGNATURE:
        return _damaged("no entry begins where the directory says")
    fields = LOCAL_HEADER.unpack_from(entry)
    begin = LOCAL_HEADER.size + fields[-2] + fields[-1]
    packed = entry[begin : begin + member.packed]
    if len(packed) != member.packed:
        return _damaged(f"{len(packed)} of {member.packed} bytes before the next entry")
    if member.packing is Packing.STORED:
        data = bytes(packed)
    else:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflater.decompress(packed, max(1, member.size))
        except zlib.error as error:
            return _damaged(str(error))
    if len(data) != member.size:
        return _damaged(f"{len(data)} bytes unpacked, the directory says {member.size}")
    if zlib.crc32(data) != member.crc:
        return _damaged(f"CRC-32 {zlib.crc32(data):08x}, the directory says {member.crc:08x}")
    return data


def _damaged(detail: str) -> ImageFault:
    return ImageFault(Reason.MEMBER_DAMAGED, detail)


MAX_READ = 1 << 23
MAX_WASTE = 32
"""Of so many bytes that are wanted, a run may hold one that is not."""


def coalesce(members: Iterable[Member]) -> Iterator[list[Member]]:
    """Groups members of one zip into runs that are worth one read each.

    A run spans at most MAX_READ bytes and has gaps of at most one MAX_WASTE-th of what its members
    take, or is a single member.
    """
    run: list[Member] = []
    end = wanted = 0
    for member in sorted(members, key=lambda member: (member.source, member.offset)):
        if run:
            # Of members that overlap, each byte is wanted once.
            both = wanted + max(0, member.end - max(member.offset, end))
            span = max(end, member.end) - run[0].offset
            if (
                member.source == run[0].source
                and member.packing is not Packing.FILE
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
