"""An archive as one file, also if it was split into pieces; nothing here knows its format."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate

import msgspec

from beam_mat.core.errors import SourceError
from beam_mat.core.member import Piece, ranges
from beam_mat.core.split_name import (
    PieceName,
    disk_name,
    is_zip_name,
    missing_piece,
    piece_name,
    zip_of_disk,
)
from beam_mat.storage import files
from beam_mat.storage.files import FileInfo

_DISKS = re.compile(r"(\d+) disks ")


class Archive(msgspec.Struct, frozen=True):
    """A file, or the pieces of one, which are read as if they were concatenated.

    `uri` is that of the first piece, or of the last disk of a split zip, by which it is known.
    `size` and `version` are those of all pieces together. `missing` is the URI of a piece that is
    not there, or "".
    """

    uri: str
    size: int
    version: str
    pieces: tuple[Piece, ...]
    missing: str = ""

    @property
    def info(self) -> FileInfo:
        return FileInfo(self.uri, self.size, self.version)

    @property
    def is_split(self) -> bool:
        return len(self.pieces) > 1 or bool(self.missing)

    def read(self, start: int, end: int) -> bytes:
        """Bytes ``[start, end)``, as `files.read_range`."""
        return b"".join(files.read_ranges(ranges(self.pieces, start, end)))

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes ``[start, end)`` in blocks, as `files.read_blocks`."""
        for uri, begin, stop in ranges(self.pieces, start, end):
            yield from files.read_blocks(uri, begin, stop)

    def pieces_of(self, start: int, end: int) -> tuple[Piece, ...]:
        """The pieces with these bytes. Empty if they are in the file with the archive's URI."""
        if self.pieces[0].uri == self.uri and not self.is_split:
            return ()
        return tuple(one for one in self.pieces if start < one.end and one.begin < end)

    def require_pieces(self) -> None:
        """Raises a SourceError if a piece is missing."""
        if self.missing:
            raise SourceError(
                f"{self.uri}: its piece {self.missing} is missing; put all pieces in one folder"
            )


def find(uri: str, version: str = "") -> Archive | None:
    """Returns the archive with this URI, which may be that of any piece; None if there is no file.

    `version` is the one that the archive had, if it is known. It says that a zip has several disks.
    """
    folder, name = _parts(uri)
    if piece_name(name):
        return _pieces(folder, name, dict(_files_in(folder)))
    file = files.file_at(uri)
    if file is None:
        return None
    if disks := _DISKS.match(version):
        return with_disks(file, int(disks[1]))
    return whole(file)


def whole(file: FileInfo) -> Archive:
    """A file that was not split."""
    return Archive(file.uri, file.size, file.version, (Piece(file.uri, 0, file.size),))


def with_disks(last: FileInfo, disks: int) -> Archive:
    """The zip with so many disks, of which this is the last one."""
    folder, name = _parts(last.uri)
    names = [disk_name(name, number) for number in range(disks - 1)]
    uris = [files.join(folder, one) for one in names]
    calls = ((uri, 0, partial(files.file_at, uri)) for uri in uris)
    found = list(files.in_order(calls))
    missing = next((uri for uri, file in zip(uris, found, strict=True) if file is None), "")
    there = [file for file in found if file]
    return _joined(last.uri, [*there, last], f"{disks} disks", missing)


def gather(found: Iterable[FileInfo], *, by_names: bool = True) -> list[Archive]:
    """Replaces the pieces among files by one archive each, in the order of the first pieces.

    Pieces that are in the same folder count as well. If `by_names`, a zip has the disks that have
    names of its disks; otherwise it is its last disk, whose end says how many there are.
    """
    folders: dict[str, dict[str, FileInfo]] = {}
    gathered: dict[str, Archive] = {}
    for file in found:
        folder, name = _parts(file.uri)
        last = zip_of_disk(name) or (name if by_names and is_zip_name(name) else None)
        archive = None
        if last or piece_name(name):
            if folder not in folders:
                folders[folder] = dict(_files_in(folder))
            listed = folders[folder]
            if last is None:
                archive = _pieces(folder, name, listed)
            elif by_names:
                archive = _disks(last, listed)
            elif last in listed:
                archive = whole(listed[last])
        archive = archive or whole(file)
        gathered.setdefault(archive.uri, archive)
    return list(gathered.values())


def _disks(last: str, listed: dict[str, FileInfo]) -> Archive | None:
    count = 0
    while disk_name(last, count) in listed:
        count += 1
    if last not in listed:
        return None
    if not count:
        return whole(listed[last])
    there = [listed[disk_name(last, number)] for number in range(count)]
    return _joined(listed[last].uri, [*there, listed[last]], f"{count + 1} disks")


def _pieces(folder: str, name: str, listed: dict[str, FileInfo]) -> Archive | None:
    asked = piece_name(name)
    assert asked
    found = {one.order: (one, file) for one, file in _with_stem(asked.stem, listed)}
    if not found:
        return None
    ordered = [found[order] for order in sorted(found)]
    missing = missing_piece(one.count for one, _ in ordered)
    missing_uri = files.join(folder, asked.stem + missing) if missing else ""
    there = [file for _, file in ordered]
    return _joined(there[0].uri, there, f"{len(there)} pieces", missing_uri)


def _with_stem(stem: str, listed: dict[str, FileInfo]) -> Iterator[tuple[PieceName, FileInfo]]:
    for name, file in listed.items():
        if (parsed := piece_name(name)) and parsed.stem == stem:
            yield parsed, file


def _joined(uri: str, there: Sequence[FileInfo], what: str, missing: str = "") -> Archive:
    ends = list(accumulate(file.size for file in there))
    pieces = (Piece(file.uri, end - file.size, end) for file, end in zip(there, ends, strict=True))
    digest = hashlib.sha256()
    for file in there:
        line = f"{file.uri}\0{file.size}\0{file.version}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    version = f"{what} {digest.hexdigest()[:24]}"
    return Archive(uri, ends[-1], version, tuple(pieces), missing)


def _files_in(folder: str) -> Iterator[tuple[str, FileInfo]]:
    try:
        found = files.entries(folder)
    except FileNotFoundError:
        return
    for name, file in found:
        if file:
            yield name, file


def _parts(uri: str) -> tuple[str, str]:
    folder, _, name = files.normalize(uri).rpartition("/")
    return folder or "/", name
