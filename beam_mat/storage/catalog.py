"""Lists image sources: the central directory of a zip, or the files of a folder."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

from beam_mat.core.errors import SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.image_path import unsafe
from beam_mat.core.limits import MAX_DIRECTORY_BYTES, MAX_IMAGE_BYTES
from beam_mat.core.member import LOCAL_HEADER, Member, Packing, batched, entry_fault
from beam_mat.core.reject import Reason
from beam_mat.storage import files

_PACKING = {zipfile.ZIP_STORED: Packing.STORED, zipfile.ZIP_DEFLATED: Packing.DEFLATED}


def members(uri: str, order: int) -> Iterator[Member]:
    """Yields the images of a zip or folder. The last of several zip entries with one name counts.

    Entries with unsafe names are left out, because no record can name them.

    Args:
        uri: A zip, or a folder of unzipped images.
        order: `Member.order`.

    Raises:
        FileNotFoundError: It does not exist.
        SourceError: The zip cannot be read.
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
        yield Member(
            path,
            file.uri,
            order,
            offset,
            end,
            file.size,
            file.size,
            Packing.FILE,
            fault=fault,
            version=file.version,
        )
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
    """Returns the size of a zip's central directory in bytes. Reads only the end of the zip.

    Raises:
        SourceError: The file does not end like a zip.
    """
    return _end(file.uri, file.size).held


class _End(NamedTuple):
    """The end of a zip.

    Attributes:
        size: Bytes of the zip.
        tail: Its last bytes, including everything after the central directory.
        begin: The first byte of the directory.
        held: How many bytes the directory has.
    """

    size: int
    tail: bytes
    begin: int
    held: int


def _end(uri: str, size: int, ahead: int = 0) -> _End:
    tail = files.read_range(uri, max(0, size - _ENDS - ahead), size)
    at = len(tail) - _END.size
    if at < 0 or not tail.startswith(b"PK\5\6", at) or not tail.endswith(b"\0\0"):
        # There may be a comment of any length after the end record.
        tail = files.read_range(uri, max(0, size - _MAX_COMMENT - _ENDS - ahead), size)
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise SourceError(
            f"{uri}: is not a zip or is cut off, because it has no directory at its end; "
            "download or pack it again"
        )
    behind = size - len(tail) + at
    held = int(_END.unpack_from(tail, at)[5])
    # zipfile looks right before the locator as well: the offset in the locator is wrong if
    # something precedes the zip.
    record = at - _END64_LOCATOR.size - _END64.size
    if record >= 0 and tail.startswith(b"PK\6\7", at - _END64_LOCATOR.size):
        fields = _END64.unpack_from(tail, record)
        if fields[0] == b"PK\6\6":
            behind, held = size - len(tail) + record, int(fields[8])
    return _End(size, tail, behind - held, held)


class _Window(io.RawIOBase):
    """A file of which only the last bytes are available. zipfile reads no others."""

    def __init__(self, size: int, held: bytes) -> None:
        self._size = size
        self._held = held
        self._at = 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise OSError(f"there is no byte {at}")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        begin = self._at - (self._size - len(self._held))
        if begin < 0:
            raise EOFError(f"its directory should begin at byte {self._at}")
        data = self._held[begin : begin + size if size >= 0 else None]
        self._at += len(data)
        return data


def _zip(uri: str, size: int, order: int) -> Iterator[Member]:
    end = _end(uri, size, size // _DIRECTORY_SHARE)
    if end.held > MAX_DIRECTORY_BYTES:
        raise SourceError(
            f"{uri}: its directory has {end.held} bytes, and {MAX_DIRECTORY_BYTES} are allowed; "
            "split the zip"
        )
    begin_of_tail = end.size - len(end.tail)
    ahead = files.read_blocks(uri, max(0, end.begin), begin_of_tail)
    window = _Window(end.size, b"".join([*ahead, end.tail]))
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
    del archive, last, window
    # Sorted by offset and taken from the end. Each entry is freed when its member is passed on,
    # because hundreds of thousands take hundreds of megabytes. An id is unique while its entry
    # lives.
    left.sort(key=lambda entry: entry.header_offset)
    left.reverse()
    while left:
        entry = left.pop()
        next_offset = left[-1].header_offset if left else end_of_entries
        name = entry.filename
        # The name of a folder ends in a slash, which makes it unsafe.
        if unsafe(name) or id(entry) in replaced:
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
    detail = f"its entry is at byte {offset}, but the directory begins at {end_of_entries}"
    return ImageFault(Reason.MEMBER_DAMAGED, detail)
