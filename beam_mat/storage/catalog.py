"""What image sources hold: the central directory of a zip, or the files of a folder."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator

from beam_mat.core.errors import SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.limits import MAX_DIRECTORY_BYTES, MAX_IMAGE_BYTES
from beam_mat.core.member import LOCAL_HEADER, Member, Packing, batched, entry_fault
from beam_mat.core.path import unsafe
from beam_mat.core.reject import Reason
from beam_mat.storage import files

_PACKING = {zipfile.ZIP_STORED: Packing.STORED, zipfile.ZIP_DEFLATED: Packing.DEFLATED}


def members(uri: str, order: int) -> Iterator[Member]:
    """The image files of a zip or folder; in a zip, of entries with one name, the last.

    Entries with unsafe names are left out: no record can name them.

    Args:
        uri: A zip, or a folder of unzipped images.
        order: `Member.order`.

    Raises:
        SourceError: The zip cannot be read.
    """
    return batched(_folder(uri, order) if files.is_folder(uri) else _zip(uri, order))


def _folder(uri: str, order: int) -> Iterator[Member]:
    offset = 0
    for path, file in files.find(uri):
        if unsafe(path):
            continue
        fault = None
        if file.size > MAX_IMAGE_BYTES:
            detail = f"{file.size} bytes, {MAX_IMAGE_BYTES} are allowed"
            fault = ImageFault(Reason.IMAGE_TOO_LARGE, detail)
        end = offset + file.size
        yield Member(
            path, file.uri, order, offset, end, file.size, file.size, Packing.FILE, fault=fault
        )
        offset = end


_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_MAX_COMMENT = 0xFFFF


def directory_bytes(uri: str) -> int:
    """Size of a zip's central directory, read from its end alone.

    Raises:
        SourceError: The file does not end as a zip does.
    """
    size = files.info(uri).size
    start = max(0, size - _MAX_COMMENT - _END.size - _END64_LOCATOR.size)
    tail = files.read_range(uri, start, size)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise SourceError(
            f"{uri}: not a zip, or one that breaks off: it has no directory at its end; "
            "download or pack it again"
        )
    held = int(_END.unpack_from(tail, at)[5])
    locator = at - _END64_LOCATOR.size
    if locator >= 0 and tail.startswith(b"PK\6\7", locator):
        # Right before its locator, as zipfile has it: the offset that the locator gives is wrong
        # where something stands before the zip.
        begin = start + locator - _END64.size
        if begin >= 0:
            fields = _END64.unpack(files.read_range(uri, begin, begin + _END64.size))
            held = int(fields[8]) if fields[0] == b"PK\6\6" else held
    return held


def _zip(uri: str, order: int) -> Iterator[Member]:
    size = directory_bytes(uri)
    if size > MAX_DIRECTORY_BYTES:
        raise SourceError(
            f"{uri}: a directory of {size} bytes, {MAX_DIRECTORY_BYTES} are allowed; split the zip"
        )
    try:
        with files.open_binary(uri) as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            end_of_entries = max(archive.start_dir, 0)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError) as error:
        raise SourceError(
            f"{uri}: the zip cannot be read ({error}); download or pack it again"
        ) from error
    by_offset = sorted(entries, key=lambda entry: entry.header_offset)
    ends = [*(entry.header_offset for entry in by_offset), end_of_entries][1:]
    last = {entry.filename: entry for entry in entries}
    folders = {name[:at] for name in last for at, char in enumerate(name) if char == "/" and at}
    for entry, next_offset in zip(by_offset, ends, strict=True):
        name = entry.filename
        # The name of a folder ends in a slash, and is unsafe for that.
        if unsafe(name) or last[name] is not entry:
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
        if name in folders:
            detail = "the zip has both a file and a folder of this name"
            fault = ImageFault(Reason.UNSAFE_PATH, detail)
        # A gap before the next entry is not read: this is as far as the headers can reach.
        reach = entry.header_offset + LOCAL_HEADER.size + 2 * 0xFFFF + entry.compress_size
        offset = min(max(entry.header_offset, 0), end_of_entries)
        yield Member(
            name,
            uri,
            order,
            offset,
            max(offset, min(next_offset, reach, end_of_entries)),
            entry.file_size,
            entry.compress_size,
            packing,
            entry.CRC,
            fault,
        )


def _misplaced(offset: int, end_of_entries: int) -> ImageFault | None:
    if 0 <= offset < end_of_entries:
        return None
    detail = f"an entry at byte {offset}, the directory begins at {end_of_entries}"
    return ImageFault(Reason.MEMBER_DAMAGED, detail)
