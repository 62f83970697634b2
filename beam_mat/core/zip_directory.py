"""Reads the central directory of a zip, entry by entry.

Source: PKWARE's APPNOTE.TXT, sections 4.3.12 and 4.5. Python's zipfile is not used, because one bad
entry makes it refuse the whole zip, and because versions of it decode names differently.
"""

import struct
from collections.abc import Iterable, Iterator

import msgspec

_HEADER = struct.Struct("<4s4B4HL2L5H2L")
_SIGNATURE = b"PK\1\2"
_LONGEST = _HEADER.size + 3 * 0xFFFF
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_MAX_NUMBER = (1 << 63) - 1
"""The largest number that columns of tables can have. No file is that large."""
UTF8 = 0x800


class ZipEntry(msgspec.Struct, frozen=True):
    """An entry of the directory, with numbers from 0 to 2^63 - 1.

    `offset` is that of the local header in the disk with the number `disk`. `mode` is that of Unix,
    or 0. `unicode_path` is the extra field 0x7075, or empty. `problem` says what is wrong with the
    entry, or is empty.
    """

    name: bytes
    flags: int
    method: int
    mode: int
    crc: int
    packed: int
    size: int
    disk: int
    offset: int
    unicode_path: bytes = b""
    problem: str = ""


def entries(blocks: Iterable[bytes]) -> Iterator[ZipEntry]:
    """Yields the entries of a directory that is read in blocks.

    A damaged entry costs itself only: if no entry follows it, the next one is searched. Memory is
    bounded by the blocks, and time is linear.
    """
    source = iter(blocks)
    held, ended = b"", False
    at = 0  # where the next entry should begin
    safe = 0  # where it may begin at the earliest: the last one may claim a wrong length
    while True:
        while not ended and len(held) < at + _LONGEST:
            block = next(source, None)
            ended = block is None
            held = held[safe:] + (block or b"")
            at, safe = at - safe, 0
        if at == len(held):
            return
        if not held.startswith(_SIGNATURE, at):
            found = held.find(_SIGNATURE, safe)
            if found >= 0:
                at = safe = found
            elif ended:
                return
            else:
                held, at, safe = held[1 - len(_SIGNATURE) :], 0, 0
            continue
        name_at = at + _HEADER.size
        if name_at > len(held):
            return
        fields = _HEADER.unpack_from(held, at)
        extra_at = name_at + fields[12]
        comment_at = extra_at + fields[13]
        if comment_at <= len(held):
            yield _entry(fields, held[name_at:extra_at], held[extra_at:comment_at])
        at, safe = comment_at + fields[14], name_at


def _entry(fields: tuple[int, ...], name: bytes, extra: bytes) -> ZipEntry:
    flags, method, crc, packed, size = fields[5], fields[6], fields[9], fields[10], fields[11]
    disk, offset = fields[15], fields[18]
    zip64, unicode_path = _extra(extra)
    problem = ""
    wide = [size == 0xFFFFFFFF, packed == 0xFFFFFFFF, offset == 0xFFFFFFFF]
    if any(wide) and zip64 is not None:
        if len(zip64) < 8 * sum(wide):
            problem = "its sizes in the directory are incomplete"
        else:
            numbers = list(struct.unpack_from(f"<{sum(wide)}Q", zip64))
            size = numbers.pop(0) if wide[0] else size
            packed = numbers.pop(0) if wide[1] else packed
            offset = numbers.pop(0) if wide[2] else offset
    if disk == 0xFFFF and zip64 is not None and len(zip64) >= 8 * sum(wide) + 4:
        (disk,) = struct.unpack_from("<L", zip64, 8 * sum(wide))
    if (largest := max(size, packed, offset)) > _MAX_NUMBER:
        problem = f"the directory says {largest}, and no file is that large"
    if problem:
        size = packed = offset = 0
    mode = fields[17] >> 16
    return ZipEntry(
        name, flags, method, mode, crc, packed, size, disk, offset, unicode_path, problem
    )


def _extra(data: bytes) -> tuple[bytes | None, bytes]:
    """The extra fields for sizes and for the name. Ignores what follows a damaged field."""
    zip64, unicode_path = None, b""
    at = 0
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<2H", data, at)
        at += 4
        if at + length > len(data):
            break
        if kind == _ZIP64 and zip64 is None:
            zip64 = data[at : at + length]
        elif kind == _UNICODE_PATH and not unicode_path:
            unicode_path = data[at : at + length]
        at += length
    return zip64, unicode_path
