"""Lists the members of a tar by reading its headers, one after the other."""

from collections.abc import Iterator

import msgspec

from beam_mat.core import tar
from beam_mat.core.errors import SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.limits import MAX_DIRECTORY_BYTES, MAX_IMAGE_BYTES
from beam_mat.core.member import Member, Packing, too_large
from beam_mat.core.member_index import MemberIndex
from beam_mat.core.member_name import member_path
from beam_mat.core.reject import Reason
from beam_mat.storage import files
from beam_mat.storage.archives import Archive

_NEAR, _FAR = 4 << 10, 8 << 20
"""Bytes that are read at once. Images on a store are read with the headers between them, because a
request takes longer than reading an image."""


_MAX_MEMBERS = 5_000_000


class _Entry(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What is kept of a `tar.TarEntry`."""

    size: int
    problem: str = ""
    damaged: bool = False


def members(archive: Archive, data: Archive, order: int, encoding: str) -> Iterator[Member]:
    """Yields the images of a tar, by offset; all headers are read before the first one.

    `data` is the tar, and `archive` is what it was unpacked from, or the same. The last of several
    members with one name counts. Members that no record can name, and hidden files, are left out.
    Raises a SourceError if the tar is cut off or damaged.
    """
    index = MemberIndex(_Entry)
    held = 0
    try:
        for entry in tar.entries(_Window(data).read, data.size):
            path = member_path(entry.name, encoding=encoding, is_utf8=entry.is_utf8)
            index.add(entry.offset, path, _Entry(entry.size, entry.problem, entry.damaged))
            held += len(entry.name)
            if held > MAX_DIRECTORY_BYTES or len(index) > _MAX_MEMBERS:
                raise SourceError(
                    f"{archive.uri}: has more than {_MAX_MEMBERS} members, or "
                    f"{MAX_DIRECTORY_BYTES} bytes of names; split the tar"
                )
    except tar.BrokenTarError as error:
        raise SourceError(f"{archive.uri}: {error}; download or pack it again") from error
    for path, offset, _, kept in index.in_order(data.size):
        fault = too_large(kept.size) if kept.size > MAX_IMAGE_BYTES else None
        if kept.problem:
            reason = Reason.MEMBER_DAMAGED if kept.damaged else Reason.MEMBER_UNSUPPORTED
            fault = ImageFault(reason, kept.problem)
        end = offset + kept.size
        pieces = data.pieces_of(offset, end) if data is archive else data.pieces
        place = (path, archive.uri, order, offset, end, kept.size, kept.size, Packing.PLAIN)
        yield Member(*place, fault=fault, pieces=pieces)


class _Window:
    """Reads ranges that follow each other, and keeps what it has read beyond one."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._ahead = _NEAR if files.is_near(archive.pieces[0].uri) else _FAR
        self._begin = 0
        self._held = b""

    def read(self, start: int, end: int) -> bytes:
        held_end = self._begin + len(self._held)
        if not self._begin <= start <= end <= held_end:
            stop = min(max(end, start + self._ahead), self._archive.size)
            self._held, self._begin = self._archive.read(start, stop), start
        at = start - self._begin
        return self._held[at : at + end - start]
