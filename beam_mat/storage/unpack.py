"""Decompresses a tar into a work file, so that its images can be read in place.

A compressed stream can only be read from its beginning. So it is read once, and what comes out is
written, block by block, to a file below ``_beam_mat/`` of the output.
"""

import hashlib
from collections.abc import Iterator
from itertools import chain

from beam_mat.core import tar
from beam_mat.core.archive_kind import Kind
from beam_mat.core.compression import Codec, Unpacked
from beam_mat.core.errors import SourceError
from beam_mat.core.limits import MAX_COMPRESSION_RATIO, RATIO_FREE_BYTES
from beam_mat.storage import files
from beam_mat.storage.archives import Archive, whole


def unpacked(archive: Archive, kind: Kind, folder: str, scratch: str) -> Archive:
    """Returns the tar that a compressed archive contains, as a file in `folder`.

    The file is named for the archive's content, so a file that is there need not be written again.
    Those of earlier contents of the same archive are removed. Raises a SourceError if the archive
    is damaged or cut off, or contains no tar.
    """
    source = hashlib.sha256(archive.uri.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    content = hashlib.sha256(f"{archive.size} {archive.version}".encode()).hexdigest()[:16]
    target = files.join(folder, f"{source}-{content}.tar")
    for name, file in files.find(folder):
        if name.startswith(source) and not target.endswith(name):
            files.remove_file(file.uri)
    found = files.file_at(target)
    if found is None:
        with files.write(target, scratch) as out:
            for block in decompressed(archive, kind):
                out.write(block)
        found = files.info(target)
    return whole(found)


def decompressed(archive: Archive, kind: Kind) -> Iterator[bytes]:
    """Yields what a compressed archive contains, in pieces of bounded size.

    Raises a SourceError if it is damaged, cut off or no tar.
    """
    pieces = Unpacked(Codec(kind.value), archive.blocks(0, archive.size), archive.size)
    coming = iter(pieces)
    held = b""
    while len(held) < tar.BLOCK and (piece := next(coming, b"")):
        held += piece
    is_tar = tar.begins(held)
    for piece in chain(coming, [b""]):  # one piece ahead: what is cut off is known sooner
        if pieces.fault:
            raise SourceError(
                f"{archive.uri}: is damaged or cut off ({pieces.fault}); download or pack it again"
            )
        if not is_tar:
            raise SourceError(
                f"{archive.uri}: is compressed by {kind.value}, but contains no tar or is damaged; "
                "decompress it, and give the files in it to --images"
            )
        if pieces.done > RATIO_FREE_BYTES + MAX_COMPRESSION_RATIO * pieces.taken:
            raise SourceError(
                f"{archive.uri}: {pieces.taken} bytes decompress to more than {pieces.done}, and "
                f"{MAX_COMPRESSION_RATIO} to 1 are allowed; pack it again"
            )
        yield held
        held = piece
