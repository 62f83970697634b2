"""Inputs: the chunks and records of a JSON shard, and whether an input has changed."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial

from beam_mat.core.chunk import Chunk, RawRecord, Shard, cut
from beam_mat.core.errors import SourceError
from beam_mat.core.limits import MAX_RAW_BYTES
from beam_mat.core.results import Source
from beam_mat.core.scan import HEAD_BYTES, Break, Layout, Span, detect, scan
from beam_mat.storage import archives, files


def identify(uri: str, version: str = "") -> files.FileInfo:
    """Size and version of an image source; for a folder, total size and a hash of its listing.

    For a split archive, they are those of all its pieces, see `archives.find`; `version` is the one
    that the file had, if it is known. Raises FileNotFoundError.
    """
    if archive := archives.find(uri, version):
        return archive.info
    if not files.is_folder(uri):
        raise FileNotFoundError(uri)
    digest = hashlib.sha256()
    size = 0
    for path, file in files.find(uri, follow=True):
        line = f"{path}\0{file.size}\0{file.version}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        size += file.size
    return files.FileInfo(files.normalize(uri), size, digest.hexdigest()[:24])


def change(place: Shard | Source) -> str | None:
    """How an input has changed since the job began, as a sentence, or None."""
    try:
        is_source = isinstance(place, Source)
        found = identify(place.uri, place.version) if is_source else files.info(place.uri)
    except FileNotFoundError:
        return f"{place.uri}: existed when the job began, but no longer exists"
    if (found.size, found.version) == place.content:
        return None
    return (
        f"{place.uri}: changed while it was converted (before: {place.size} bytes, version "
        f"{place.version}; now: {found.size} bytes, version {found.version})"
    )


def require_unchanged(place: Shard | Source) -> None:
    """Raises a SourceError if an input has changed since the job began."""
    if said := change(place):
        raise SourceError(f"{said}; nothing was published: run the same command again")


def changed(places: Iterable[Shard | Source]) -> list[tuple[Shard | Source, str]]:
    """The inputs that have changed, each with a sentence that says how."""
    places = list(places)
    said = files.in_order((place.uri, 0, partial(change, place)) for place in places)
    return [(place, how) for place, how in zip(places, said, strict=True) if how]


def chunks(shard: Shard, digest: str) -> Iterator[Chunk]:
    """Yields the chunks of a shard. Scans it once, in bounded memory.

    `digest` is a hash of the configuration; see `beam_mat.core.chunk.Shard.stem`.
    """
    head = detect(files.read_range(shard.uri, 0, min(HEAD_BYTES, shard.size)))
    if isinstance(head, Break):
        yield from cut(shard, Layout.LINES, [head], digest)
        return
    blocks = files.read_blocks(shard.uri, head.offset, shard.size)
    yield from cut(shard, head.layout, scan(head.layout, blocks, head.offset), digest)


def count_records(shard: Shard, at_most: int) -> int:
    """How many records a shard has. Stops counting at `at_most`."""
    limited = Shard(shard.uri, shard.order, shard.size, shard.version, at_most)
    return sum(chunk.count for chunk in chunks(limited, ""))


def records(chunk: Chunk) -> Iterator[RawRecord]:
    """Yields the records of a chunk, in order. A faulty chunk yields one record for the whole."""
    if chunk.fault:
        end = min(chunk.end, chunk.start + MAX_RAW_BYTES)
        data = files.read_range(chunk.shard.uri, chunk.start, end)
        yield RawRecord(chunk, chunk.first, Span(chunk.start, chunk.end), data)
        return
    yield from split(chunk, files.read_range(chunk.shard.uri, chunk.start, chunk.end))


def split(chunk: Chunk, data: bytes) -> Iterator[RawRecord]:
    """Yields the records in the bytes of a chunk that has no fault."""
    at = chunk.start
    for number, span in enumerate(chunk.spans()):
        if data[at - chunk.start : span.start - chunk.start].strip(_BETWEEN):
            raise SourceError(
                f"{chunk.shard.uri}: no record ends at byte {at} any more; the file changed while "
                "it was read: run the command again"
            )
        at = span.end
        raw = data[span.start - chunk.start : span.end - chunk.start]
        yield RawRecord(chunk, chunk.first + number, span, raw)


_BETWEEN = b" \t\n\r,"
