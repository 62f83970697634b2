"""Image sources, which are zips or folders: lists their members, and reads them."""

import io
import struct
import zipfile
from collections.abc import Iterator

from beam_mat.core.errors import SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.layout import unsafe
from beam_mat.core.limits import MAX_DIRECTORY_BYTES, MAX_IMAGE_BYTES
from beam_mat.core.member import (
    LOCAL_HEADER,
    Member,
    Packing,
    batched,
    coalesce,
    entry_fault,
    unpack,
)
from beam_mat.core.reject import Reason
from beam_mat.storage import files

_PACKING = {zipfile.ZIP_STORED: Packing.STORED, zipfile.ZIP_DEFLATED: Packing.DEFLATED}


def members(uri: str, order: int) -> Iterator[Member]:
    """Yields the images of a zip or folder; `order` is `Member.order`.

    The last of several zip entries with one name counts. Entries with unsafe names are left out,
    because no record can name them. Raises FileNotFoundError, or a SourceError if the zip cannot be
    read.
    """
    file = files.file_at(uri)
    return batched(_zip(uri, file.size, order) if file else _folder(uri, order))


def _folder(uri: str, order: int) -> Iterator[Member]:
    if not files.is_folder(uri):
        raise FileNotFoundError(uri)
    offset = 0
    for path, file in files.find(uri, follow=True):
        if unsafe(path):
            continue
        fault = None
        if file.size > MAX_IMAGE_BYTES:
            detail = f"{file.size} bytes, and {MAX_IMAGE_BYTES} are allowed"
            fault = ImageFault(Reason.IMAGE_TOO_LARGE, detail)
        end = offset + file.size
        place = (path, file.uri, order, offset, end, file.size, file.size, Packing.FILE)
        yield Member(*place, fault=fault, version=file.version)
        offset = end


_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENDS = _END64.size + _END64_LOCATOR.size + _END.size
_MAX_COMMENT = 0xFFFF
_DIRECTORY_SHARE = 1024
"""Bytes of a zip per byte of its directory, for members of about 100 kB. The directory is read with
the end of the zip, which saves a request. If it is longer, the rest is read separately."""


def directory_bytes(file: files.FileInfo) -> int:
    """Returns the bytes of a zip's central directory. Raises a SourceError if there is none.

    Only the end of the zip is read.
    """
    return _end(file.uri, file.size)[2]


def _end(uri: str, size: int, more: int = 0) -> tuple[bytes, int, int]:
    """Reads the end of a zip of `size` bytes, with `more` bytes before its end records.

    Returns the bytes that were read, and the offset and the length of the central directory.
    """
    tail = files.read_range(uri, max(0, size - _ENDS - more), size)
    at = len(tail) - _END.size
    if at < 0 or not tail.startswith(b"PK\5\6", at) or not tail.endswith(b"\0\0"):
        # There may be a comment of any length after the end record.
        tail = files.read_range(uri, max(0, size - _MAX_COMMENT - _ENDS - more), size)
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise SourceError(
            f"{uri}: is not a zip or is cut off, because it has no directory at its end; "
            "download or pack it again"
        )
    behind = size - len(tail) + at
    length = int(_END.unpack_from(tail, at)[5])
    # zipfile looks right before the locator as well: the offset in the locator is wrong if
    # something precedes the zip.
    record = at - _END64_LOCATOR.size - _END64.size
    if record >= 0 and tail.startswith(b"PK\6\7", at - _END64_LOCATOR.size):
        fields = _END64.unpack_from(tail, record)
        if fields[0] == b"PK\6\6":
            behind, length = size - len(tail) + record, int(fields[8])
    return tail, behind - length, length


class _Window(io.BytesIO):
    """A file of which only the last bytes are available. zipfile reads no others."""

    def __init__(self, size: int, held: bytes) -> None:
        super().__init__(held)
        self._begin = size - len(held)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            if offset < self._begin:
                raise EOFError(f"its directory should begin at byte {offset}")
            offset -= self._begin
        return self._begin + super().seek(offset, whence)

    def tell(self) -> int:
        return self._begin + super().tell()


def _zip(uri: str, size: int, order: int) -> Iterator[Member]:
    tail, begin, length = _end(uri, size, size // _DIRECTORY_SHARE)
    if length > MAX_DIRECTORY_BYTES:
        raise SourceError(
            f"{uri}: its directory has {length} bytes, and {MAX_DIRECTORY_BYTES} are allowed; "
            "split the zip"
        )
    before_tail = files.read_blocks(uri, max(0, begin), size - len(tail))
    window = _Window(size, b"".join([*before_tail, tail]))
    try:
        with zipfile.ZipFile(window) as archive:
            left = archive.infolist()
            last = archive.NameToInfo
            end_of_entries = max(archive.start_dir, 0)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError) as error:
        raise SourceError(
            f"{uri}: the zip cannot be read ({error}); download or pack it again"
        ) from error
    replaced = {id(entry) for entry in left if last[entry.filename] is not entry}
    del archive, last, window, tail
    # Sorted by offset and taken from the end. Each entry is freed when its member is passed on,
    # because hundreds of thousands take hundreds of megabytes. An id is unique while its entry
    # lives.
    left.sort(key=lambda entry: entry.header_offset)
    left.reverse()
    while left:
        entry = left.pop()
        next_offset = left[-1].header_offset if left else end_of_entries
        # The name of a folder ends in a slash, which makes it unsafe.
        if unsafe(entry.filename) or id(entry) in replaced:
            continue
        packing = _PACKING.get(entry.compress_type, Packing.UNSUPPORTED)
        fault = _misplaced(entry.header_offset, end_of_entries) or entry_fault(
            flags=entry.flag_bits,
            mode=entry.external_attr >> 16,
            method=entry.compress_type,
            packing=packing,
            size=entry.file_size,
            packed=entry.compress_size,
        )
        # A gap before the next entry is not read: the headers cannot be longer than this.
        reach = entry.header_offset + LOCAL_HEADER.size + 2 * 0xFFFF + entry.compress_size
        offset = min(max(entry.header_offset, 0), end_of_entries)
        end_of_entry = max(offset, min(next_offset, reach, end_of_entries))
        place = (entry.filename, uri, order, offset, end_of_entry)
        sizes = (entry.file_size, entry.compress_size)
        yield Member(*place, *sizes, packing, entry.CRC, fault)


def _misplaced(offset: int, end_of_entries: int) -> ImageFault | None:
    if 0 <= offset < end_of_entries:
        return None
    detail = f"its entry is at byte {offset}, but the directory begins at {end_of_entries}"
    return ImageFault(Reason.MEMBER_DAMAGED, detail)


def fetch(members: list[Member]) -> Iterator[tuple[Member, memoryview | ImageFault]]:
    """Reads the entries of members, run by run (`coalesce`). Members with a fault are not read.

    Yields each member with the packed bytes of its entry, or with its fault.
    """
    for member in members:
        if member.fault:
            yield member, member.fault
    runs = list(coalesce(member for member in members if not member.fault))
    for run, data in zip(runs, files.read_ranges(map(_range, runs)), strict=True):
        block = memoryview(data)
        # The largest come first, so that all threads finish at about the same time.
        for member in sorted(run, key=lambda member: -member.packed):
            start = run[0].offset  # a file is a run of its own
            yield member, block[member.offset - start : member.end - start]


def _range(run: list[Member]) -> tuple[str, int, int]:
    first = run[0]
    if first.packing is Packing.FILE:
        return first.source, 0, first.size
    return first.source, first.offset, max(member.end for member in run)


def load(member: Member, found: memoryview | ImageFault) -> bytes | ImageFault:
    """Returns the bytes of the member's file, or its fault."""
    if isinstance(found, ImageFault):
        return found
    data = unpack(member, found)
    if isinstance(data, ImageFault) and not files.is_near(member.source):
        # The data may have been damaged during the transfer, so the member is read again.
        again = files.read_range(member.source, member.offset, member.end)
        return unpack(member, memoryview(again))
    return data
