"""Lists the members of a zip from its central directory, which is at its end."""

import itertools
import struct
import zipfile
from collections.abc import Iterable, Iterator

import msgspec

from beam_mat.core.errors import SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.limits import MAX_DIRECTORY_BYTES
from beam_mat.core.member import LOCAL_HEADER, Member, Packing, entry_fault
from beam_mat.core.member_index import MemberIndex
from beam_mat.core.member_name import member_path
from beam_mat.core.reject import Reason
from beam_mat.core.zip_directory import UTF8, entries
from beam_mat.storage import files
from beam_mat.storage.archives import Archive, with_disks
from beam_mat.storage.files import FileInfo

_PACKING = {zipfile.ZIP_STORED: Packing.STORED, zipfile.ZIP_DEFLATED: Packing.DEFLATED}

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENDS = _END64.size + _END64_LOCATOR.size + _END.size
_MAX_COMMENT = 0xFFFF
_MAX_DISKS = 10_000
_DIRECTORY_SHARE = 1024
"""Bytes of a zip per byte of its directory, for members of about 100 kB. The directory is read with
the end of the zip, which saves a request. If it is longer, the rest is read separately."""


class ZipEnd(msgspec.Struct, frozen=True):
    """The end of a zip.

    Attributes:
        tail: The last bytes of the file, which were read.
        behind: Offset of the first byte after the directory.
        length: Bytes of the directory.
        offset: Offset of the directory according to the zip, in its disk.
        disk, disks: Number of the disk where the directory begins, and of all disks.
        is_exact: Whether the end record is the end of the file.
    """

    tail: bytes
    behind: int
    length: int
    offset: int
    disk: int
    disks: int
    is_exact: bool


def find_end(archive: Archive, *, with_directory: bool = False) -> ZipEnd | None:
    """Reads the end of a zip, and most directories with it. Returns None if there is no end."""
    size = archive.size
    more = size // _DIRECTORY_SHARE if with_directory else 0
    tail = archive.read(max(0, size - _ENDS - more), size)
    at = len(tail) - _END.size
    if at < 0 or not tail.startswith(b"PK\5\6", at) or not tail.endswith(b"\0\0"):
        # There may be a comment of any length after the end record.
        tail = archive.read(max(0, size - _MAX_COMMENT - _ENDS - more), size)
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        return None
    _, last, disk, _, _, length, offset, comment = _END.unpack_from(tail, at)
    is_exact = at + _END.size + comment == len(tail)
    behind = size - len(tail) + at
    # Right before the locator: its offset is wrong if something precedes the zip.
    record = at - _END64_LOCATOR.size - _END64.size
    if record >= 0 and tail.startswith(b"PK\6\7", at - _END64_LOCATOR.size):
        fields = _END64.unpack_from(tail, record)
        if fields[0] == b"PK\6\6":
            behind = size - len(tail) + record
            last, disk, length, offset = fields[4], fields[5], fields[8], fields[9]
    return ZipEnd(tail, behind, length, offset, disk, last + 1, is_exact)


def with_all_disks(archive: Archive, end: ZipEnd) -> tuple[Archive, ZipEnd]:
    """Returns the zip with its other disks, if it was split into disks, and its end.

    Raises a SourceError if one is missing.
    """
    if end.disks == 1 or archive.is_split:
        return archive, end
    if end.disks > _MAX_DISKS:
        raise SourceError(f"{archive.uri}: says that it has {end.disks} disks; pack it again")
    found = with_disks(FileInfo(archive.uri, archive.size, archive.version), end.disks)
    found.require_pieces()
    behind = end.behind + found.size - archive.size
    return found, msgspec.structs.replace(end, behind=behind)


def members(archive: Archive, order: int, end: ZipEnd, encoding: str) -> Iterator[Member]:
    """Yields the images of a zip, by offset; all of the directory is read before the first one.

    `archive` has all disks. The last of several entries with one name counts. Entries that no
    record can name, and hidden files, are left out. Raises a SourceError if there is no directory.
    """
    index, begin = _read(archive, end, encoding)
    for path, offset, next_offset, entry in index.in_order(begin):
        packing = _PACKING.get(entry.method, Packing.UNSUPPORTED)
        fault = _misplaced(entry, offset, begin) or entry_fault(
            flags=entry.flags,
            mode=entry.mode,
            method=entry.method,
            packing=packing,
            size=entry.size,
            packed=entry.packed,
        )
        # A gap before the next entry is not read: the headers cannot be longer than this.
        reach = offset + LOCAL_HEADER.size + 2 * 0xFFFF + entry.packed
        start = min(offset, begin)
        stop = max(start, min(next_offset, reach, begin))
        place = (path, archive.uri, order, start, stop, entry.size, entry.packed, packing)
        pieces = archive.pieces_of(start, stop)
        yield Member(*place, crc=entry.crc, fault=fault, pieces=pieces)


def require_directory(archive: Archive, end: ZipEnd) -> None:
    """Raises a SourceError if the directory cannot be where the end of the zip says."""
    if end.length > MAX_DIRECTORY_BYTES:
        raise SourceError(
            f"{archive.uri}: its directory has {end.length} bytes, and {MAX_DIRECTORY_BYTES} are "
            "allowed; split the zip"
        )
    # Something may precede a zip, such as a program that unpacks it.
    begin = end.behind - end.length
    if begin < 0 or (end.disks == 1 and begin < end.offset):
        raise _unreadable(archive, "bytes are missing before its directory")


class _Entry(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What is kept of a `ZipEntry`."""

    flags: int
    method: int
    mode: int
    crc: int
    packed: int
    size: int
    problem: str = ""


def _read(archive: Archive, end: ZipEnd, encoding: str) -> tuple[MemberIndex[_Entry], int]:
    """Reads the directory. Returns the members, and where the directory begins."""
    require_directory(archive, end)
    begin = end.behind - end.length
    starts = [piece.begin for piece in archive.pieces] if end.disks > 1 else [0]
    shift = begin - end.offset if end.disks == 1 else 0
    index = MemberIndex(_Entry)
    for entry in entries(_blocks(archive, end, begin)):
        disk = entry.disk if end.disks > 1 else 0
        if disk >= len(starts):
            problem = f"its entry is on disk {disk + 1}, and there are {len(starts)}"
            disk = 0
        else:
            problem = entry.problem
        path = member_path(
            entry.name,
            encoding=encoding,
            is_utf8=bool(entry.flags & UTF8),
            unicode_path=entry.unicode_path,
        )
        kept = (entry.flags, entry.method, entry.mode, entry.crc, entry.packed, entry.size)
        # An entry whose offset is not known must not seem to end another one.
        offset = begin if problem else starts[disk] + entry.offset + shift
        index.add(offset, path, _Entry(*kept, problem=problem))
    if not len(index) and end.length:
        raise _unreadable(archive, "its directory has no entries")
    return index, begin


def _blocks(archive: Archive, end: ZipEnd, begin: int) -> Iterable[bytes]:
    """The directory: what is before the bytes that have been read already, and then these."""
    read = archive.size - len(end.tail)
    before = archive.blocks(begin, min(max(begin, read), end.behind))
    return itertools.chain(before, [end.tail[max(0, begin - read) : end.behind - read]])


def _unreadable(archive: Archive, why: str) -> SourceError:
    return SourceError(f"{archive.uri}: the zip cannot be read ({why}); download or pack it again")


def _misplaced(entry: _Entry, offset: int, begin: int) -> ImageFault | None:
    if entry.problem:
        return ImageFault(Reason.MEMBER_DAMAGED, entry.problem)
    if offset < begin:
        return None
    detail = f"its entry is at byte {offset}, but the directory begins at {begin}"
    return ImageFault(Reason.MEMBER_DAMAGED, detail)


def hint(archive: Archive) -> str:
    """What may be missing of a zip without an end."""
    if not archive.is_split:
        return ""
    last = archive.pieces[-1].uri
    return f"; the last piece that was found is {files.normalize(last)}, and one may follow it"
