"""Image sources, which are archives or folders: lists their members, and reads them."""

from collections.abc import Iterable, Iterator

import msgspec

from beam_mat.core import archive_kind
from beam_mat.core.archive_kind import HEAD_BYTES
from beam_mat.core.errors import SourceError
from beam_mat.core.image import ImageFault
from beam_mat.core.layout import unsafe
from beam_mat.core.limits import MAX_IMAGE_BYTES
from beam_mat.core.member import Member, Packing, batched, coalesce, range_of, too_large, unpack
from beam_mat.core.member_name import is_hidden, normal
from beam_mat.storage import archives, files, tars, zips
from beam_mat.storage import unpack as unpacking
from beam_mat.storage.archives import Archive


def members(
    uri: str, order: int, *, prefix: str = "", encoding: str = "", work: str = "", scratch: str = ""
) -> Iterator[Member]:
    """Yields the images of an archive or folder; `order` is `Member.order`.

    `prefix` is put before their paths. `encoding` is `core.settings.Settings.zip_encoding`.
    Compressed tars are unpacked to the folder `work`; see `storage.unpack`. The last of several
    members with one path counts. Members that no record can name, and hidden files, are left out.
    All of the directory is read before the first member is yielded. Raises FileNotFoundError, or a
    SourceError if the archive cannot be read.
    """
    archive = archives.find(uri)
    if archive is None:
        found = batched(_folder(uri, order))
    else:
        found = batched(_archive(archive, order, encoding, work, scratch))
    return _prefixed(found, prefix) if prefix else found


def _prefixed(found: Iterable[Member], prefix: str) -> Iterator[Member]:
    for member in found:
        path = prefix + member.path
        if not unsafe(path):
            yield msgspec.structs.replace(member, path=path)


def look(uri: str) -> list[files.FileInfo]:
    """Returns the archives that a URI or a pattern names: all pieces of a split one are one file.

    Raises FileNotFoundError, or a SourceError if one cannot be read as images. Only the beginning
    and the end of each archive are read.
    """
    gathered = archives.gather(files.expand(uri), by_names=False)
    return [_readable(archive).info for archive in gathered]


def _readable(archive: Archive) -> Archive:
    """Returns the archive with all of its disks. Raises a SourceError if it cannot be read."""
    archive.require_pieces()
    opened = _open(archive)
    if isinstance(opened, zips.ZipEnd):
        archive, end = zips.with_all_disks(archive, opened)
        zips.require_directory(archive, end)
    elif opened.is_compressed:
        next(unpacking.decompressed(archive, opened))  # whether it is a tar
    return archive


def _open(archive: Archive, *, with_directory: bool = False) -> archive_kind.Kind | zips.ZipEnd:
    """Finds out what an archive is, and reads its end if it is a zip. Raises a SourceError."""
    end = zips.find_end(archive, with_directory=with_directory)
    if end and end.is_exact:
        return end
    head = archive.read(0, min(HEAD_BYTES, archive.size))
    if kind := archive_kind.kind_of(head):
        return kind
    if what := archive_kind.what_it_is(head, archive.uri.rsplit("/", 1)[-1]):
        raise SourceError(f"{archive.uri}: {what}")
    if end:
        return end
    raise SourceError(
        f"{archive.uri}: is not a zip or is cut off, because it has no directory at its end, and "
        f"is not a tar either; download or pack it again{zips.hint(archive)}"
    )


def _archive(
    archive: Archive, order: int, encoding: str, work: str, scratch: str
) -> Iterator[Member]:
    archive.require_pieces()
    opened = _open(archive, with_directory=True)
    if isinstance(opened, zips.ZipEnd):
        archive, end = zips.with_all_disks(archive, opened)
        yield from zips.members(archive, order, end, encoding)
        return
    data = archive
    if opened.is_compressed:
        data = unpacking.unpacked(archive, opened, work, scratch)
    yield from tars.members(archive, data, order, encoding)


def _folder(uri: str, order: int) -> Iterator[Member]:
    if not files.is_folder(uri):
        raise FileNotFoundError(uri)
    offset = 0
    found = files.find(uri, follow=True)
    taken = {name for name, _ in found}
    for name, file in found:
        path = normal(name)
        if is_hidden(path) or unsafe(path) or (path != name and path in taken):
            continue
        taken.add(path)
        fault = too_large(file.size) if file.size > MAX_IMAGE_BYTES else None
        end = offset + file.size
        place = (path, file.uri, order, offset, end, file.size, file.size, Packing.FILE)
        yield Member(*place, fault=fault, version=file.version)
        offset = end


def fetch(members: list[Member]) -> Iterator[tuple[Member, memoryview | ImageFault]]:
    """Reads the entries of members, run by run (`coalesce`). Members with a fault are not read.

    Yields each member with the packed bytes of its entry, or with its fault.
    """
    for member in members:
        if member.fault:
            yield member, member.fault
    runs = list(coalesce(member for member in members if not member.fault))
    ranges = [range_of(run) for run in runs]
    blocks = files.read_ranges(one for run in ranges for one in run)
    for run, parts in zip(runs, ranges, strict=True):
        found = [next(blocks) for _ in parts]
        block = memoryview(found[0] if len(found) == 1 else b"".join(found))
        # The largest come first, so that all threads finish at about the same time.
        for member in sorted(run, key=lambda member: -member.packed):
            start = run[0].offset  # a file is a run of its own
            yield member, block[member.offset - start : member.end - start]


def load(member: Member, found: memoryview | ImageFault) -> bytes | ImageFault:
    """Returns the bytes of the member's file, or its fault."""
    if isinstance(found, ImageFault):
        return found
    data = unpack(member, found)
    if isinstance(data, ImageFault) and not files.is_near(member.place):
        # The data may have been damaged during the transfer, so the member is read again.
        again = b"".join(files.read_ranges(member.ranges()))
        return unpack(member, memoryview(again))
    return data
