"""Inputs: the chunks and records of a JSON shard, and whether an input has changed."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec

from beam_mat.core.chunk import Chunk, RawRecord, Shard, cut
from beam_mat.core.compression import Codec
from beam_mat.core.errors import ShardError, SourceError
from beam_mat.core.limits import MAX_RAW_BYTES
from beam_mat.core.reject import Reason
from beam_mat.core.results import Broken, ShardSummary, Source
from beam_mat.core.scan import Break, Span
from beam_mat.storage import archives, files, texts
from beam_mat.storage.texts import FileText, Found, PackedText


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


class Reading(msgspec.Struct, frozen=True):
    """How the records of a shard are read: its text, and where the records are in it.

    `size` is that of the text. `copy` is the file with the decompressed text, "" if the shard is
    not compressed or there is no copy. `fault` says why the text ends early, and `lost` how many
    bytes of it are missing, by estimate.
    """

    shard: Shard
    text: FileText | PackedText
    found: Found
    size: int
    compression: str = ""
    copy: str = ""
    fault: str = ""
    lost: int = 0

    def broken(self, chunks: Sequence[Chunk]) -> Broken | None:
        """What could not be read of the shard that was cut into these chunks."""
        if not chunks or chunks[-1].fault is not Reason.SHARD_BREAKS_OFF:
            return None
        last = chunks[-1]
        unread = last.end - last.start + self.lost
        return Broken(last.start, self.size + self.lost, unread, last.detail)


def reading(shard: Shard, records: str = "", copy: str = "") -> Reading:
    """Looks where the records of a shard are. Raises a ShardError if it has none.

    `records` is as in `beam_mat.storage.texts.find`. A compressed shard is decompressed to `copy`,
    or else again for each pass.
    """
    codec = texts.compression(shard)
    text: FileText | PackedText = FileText(shard.uri, shard.size)
    size, fault, lost = shard.size, "", 0
    if codec and copy:
        unpacked = texts.unpack(shard, codec, copy)
        size, fault, lost = unpacked.done, unpacked.fault, unpacked.lost
        text = FileText(copy, size)
    elif codec:
        text = PackedText(shard, codec)
    found = texts.find(text, records)
    if isinstance(found, str):
        packed = f"decompressed with {codec.value}, " if codec else ""
        raise ShardError(f"{shard.uri}: {packed}{found}")
    name = codec.value if codec else ""
    return Reading(shard, text, found, size, name, copy if codec else "", fault, lost)


def fault(shard: Shard, records: str) -> str | None:
    """Why a file is no shard, as a sentence without its name, or None."""
    try:
        reading(shard, records)
    except ShardError as error:
        return str(error).removeprefix(f"{shard.uri}: ")
    return None


def chunks(found: Reading, digest: str) -> Iterator[Chunk]:
    """Yields the chunks of a shard. Scans its text once, in bounded memory.

    `digest` is a hash of the configuration; see `beam_mat.core.chunk.Shard.stem`.
    """
    made = cut(found.shard, found.found.layout, _spans(found), digest, size=found.size)
    if not found.copy:
        yield from made
        return
    for chunk in made:
        yield msgspec.structs.replace(chunk, copy=found.copy)


def _spans(found: Reading) -> Iterator[Span | Break]:
    """Yields the spans of the records. If the text ends early, a Break says why."""
    broken: Break | None = None
    for item in texts.spans(found.text, found.found):
        if isinstance(item, Break):
            broken = item
        else:
            yield item
    if found.fault:
        start = broken.start if broken else found.size
        yield Break(start, f"{found.fault}; {broken.detail}" if broken else found.fault)
    elif broken:
        yield broken


def count_records(shard: Shard, at_most: int, records: str = "") -> int:
    """How many records a shard has. Stops counting at `at_most`."""
    limited = Shard(shard.uri, shard.order, shard.size, shard.version, at_most)
    return sum(chunk.count for chunk in chunks(reading(limited, records), ""))


def records(chunk: Chunk) -> Iterator[RawRecord]:
    """Yields the records of a chunk, in order. A faulty chunk yields one record for the whole."""
    if chunk.fault:
        end = min(chunk.end, chunk.start + MAX_RAW_BYTES)
        data = read(chunk, chunk.start, end)
        yield RawRecord(chunk, chunk.first, Span(chunk.start, chunk.end), data)
        return
    yield from split(chunk, read(chunk, chunk.start, chunk.end))


def read(chunk: Chunk, start: int, end: int) -> bytes:
    """Reads a byte range of a shard's text. A copy that was lost is made again.

    Raises SourceError if the shard has changed.
    """
    if not chunk.copy:
        return files.read_range(chunk.shard.uri, start, end)
    with contextlib.suppress(FileNotFoundError, SourceError):
        return files.read_range(chunk.copy, start, end)
    _copy_again(chunk.shard, chunk.copy)
    return files.read_range(chunk.copy, start, end)


def _copy_again(shard: Shard, copy: str) -> None:
    require_unchanged(shard)
    if codec := texts.compression(shard):
        texts.unpack(shard, codec, copy)
    require_unchanged(shard)


def excerpts(places: Iterable[tuple[ShardSummary, int, int]]) -> Iterator[bytes]:
    """Reads byte ranges of the texts of shards, in order. Raises SourceError if one has changed.

    Of a compressed shard, all ranges are read in one pass and wait in a temporary file.
    """
    places = list(places)
    packed = {
        one.uri: PackedText(one.shard, Codec(one.compression))
        for one, _, _ in places
        if one.compression
    }
    plain = files.read_ranges(
        (shard.uri, start, end) for shard, start, end in places if shard.uri not in packed
    )
    with tempfile.TemporaryFile() as held:
        at: dict[tuple[str, int, int], int] = {}
        for uri, text in packed.items():
            wanted = sorted({(start, end) for shard, start, end in places if shard.uri == uri})
            for start, end, data in _ranges(text, wanted):
                at.setdefault((uri, start, end), held.tell())
                held.write(data)
        for shard, start, end in places:
            if shard.uri not in packed:
                yield next(plain)
                continue
            held.seek(at[shard.uri, start, end])
            yield held.read(end - start)


def _ranges(
    text: PackedText, wanted: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int, bytes]]:
    """Yields sorted ranges of a text that do not overlap, except for those with the same start."""
    blocks = text.blocks()
    data, begin = b"", 0
    for start, end in wanted:
        while begin + len(data) < end and (block := next(blocks, None)) is not None:
            gone = max(0, min(start - begin, len(data)))
            data, begin = data[gone:] + block, begin + gone
        if begin + len(data) < end:
            raise SourceError(f"{text.shard.uri}: changed while it was read; run the command again")
        yield start, end, data[start - begin : end - begin]


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
