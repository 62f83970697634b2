"""Cuts a shard into chunks, which are the units of work, and names the files made from them.

A chunk is a byte range of whole records. The steps of the pipeline pass references to chunks, not
their bytes.
"""

import hashlib
import posixpath
import struct
from collections.abc import Callable, Iterable, Iterator

import msgspec

from beam_mat.core.layout import shard_name
from beam_mat.core.limits import MAX_RAW_BYTES, MAX_RECORD_BYTES
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.scan import Break, Layout, Span
from beam_mat.core.trajectory import Schema

MIN_CHUNK_BYTES = 4 << 20
MAX_CHUNKS = 1000
MAX_CHUNK_RECORDS = 1 << 16
"""Records of a chunk, at most. A million of ``{}`` would take 500 MB as rejects."""
MAX_GAP = 1 << 20
"""Bytes between two records of a chunk, at most: a chunk is read as a whole."""


class Shard(msgspec.Struct, frozen=True, array_like=True):
    """One JSON input file.

    `order` is its position among the job's shards. `version` (modification time, generation or
    ETag) changes when the content changes. `limit` is the number of records to convert, if not all.
    `prefix` is put before the image paths of its records, and `read_as` is the schema that the user
    has chosen for it, if any.
    """

    uri: str
    order: int
    size: int
    version: str
    limit: int | None = None
    prefix: str = ""
    read_as: Schema | None = None

    @property
    def content(self) -> tuple[int, str]:
        return self.size, self.version

    def stem(self, digest: str) -> str:
        """The prefix of the names of all files made from this shard with a configuration.

        A changed shard or `digest` of the configuration never overwrites existing files.
        """
        place = [self.uri, self.size, self.version, self.limit, self.prefix, self.read_as]
        key = msgspec.json.encode([*place, digest])
        readable = shard_name(posixpath.basename(self.uri).split(".")[0])
        return f"{readable}-{hashlib.sha256(key).hexdigest()[:10]}"


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """A reference to consecutive whole records, or to bytes that cannot be split into records.

    `name` is unique in the job; the part files are named after it. `first` is the index of the
    first record in the shard, and `count` the number of records. `places` has two numbers for each
    record, see `spans`. With a `fault`, the whole range is rejected as one record. `schema` is that
    of the shard. All offsets are those of the shard's text; `copy` is the file with it if the shard
    is compressed.
    """

    name: str
    shard: Shard
    layout: Layout
    start: int
    end: int
    first: int
    count: int
    fault: Reason | None = None
    detail: str = ""
    places: bytes = b""
    schema: Schema = Schema.MAT
    copy: str = ""

    def spans(self) -> Iterator[Span]:
        """Yields the byte range of each record of a chunk without a fault."""
        at = self.start
        for gap, length in _PLACE.iter_unpack(self.places):
            begin = at + gap
            at = begin + length
            yield Span(begin, at)


_PLACE = struct.Struct("<2I")
"""Number of bytes between the record before and a record, and the length of the record."""


class RawRecord(msgspec.Struct, frozen=True):
    """One record of a chunk: its index and byte range in the shard, and its bytes.

    If the chunk has a fault, `data` has only the first MAX_RAW_BYTES.
    """

    chunk: Chunk
    index: int
    span: Span
    data: bytes

    def identity(self, id: str | None) -> str:
        """The id, or a hash of the record if it has none. Equal ones are duplicates."""
        return hashlib.sha256(self.data).hexdigest() if id is None else id

    def reject(self, reason: Reason, detail: str, id: str | None) -> Reject:
        """Makes a reject of this record."""
        return Reject(
            reason=reason,
            detail=detail,
            source=self.chunk.shard.uri,
            index=self.index,
            start=self.span.start,
            end=self.span.end,
            id=id,
            record=self.data[:MAX_RAW_BYTES].decode("utf-8", "backslashreplace"),
            record_truncated=self.span.end - self.span.start > MAX_RAW_BYTES,
        )


def cut(
    shard: Shard,
    layout: Layout,
    found: Iterable[Span | Break],
    digest: str,
    is_full: Callable[[int, int], bool] | None = None,
    size: int | None = None,
) -> Iterator[Chunk]:
    """Groups the records that `beam_mat.core.scan.scan` has found in a shard into chunks, in order.

    A break, or a record of more than MAX_RECORD_BYTES, becomes a chunk of its own with a fault.
    `is_full` is called after each record with start and end of the chunk. By default, the size of
    chunks depends only on that of the shard's text, which is `size`, or else the shard's; they have
    at most MAX_CHUNK_RECORDS records.
    """
    stem = shard.stem(digest)
    size = shard.size if size is None else size
    goal = max(MIN_CHUNK_BYTES, -(-size // MAX_CHUNKS))
    is_full = is_full or (lambda start, end: end - start >= goal or count >= MAX_CHUNK_RECORDS)
    start = end = index = count = 0
    places = bytearray()

    def chunk(fault: Reason | None = None, detail: str = "") -> Chunk:
        name, first = f"{stem}-{start:014d}", index - count
        placed = b"" if fault else bytes(places)
        places.clear()
        return Chunk(name, shard, layout, start, end, first, count, fault, detail, placed)

    for item in found:
        if shard.limit is not None and index >= shard.limit:
            break
        fault: Reason | None = None
        detail = ""
        stop = size if isinstance(item, Break) else item.end
        if isinstance(item, Break):
            fault, detail = Reason.SHARD_BREAKS_OFF, item.detail
        elif stop - item.start > MAX_RECORD_BYTES:
            fault = Reason.RECORD_TOO_LARGE
            detail = f"the record has {stop - item.start} bytes; the limit is {MAX_RECORD_BYTES}"
        if count and (fault or item.start - end > MAX_GAP):
            yield chunk()
            count = 0
        if not fault:
            places += _PLACE.pack(item.start - end if count else 0, stop - item.start)
        start, end = (start if count else item.start), stop
        index, count = index + 1, count + 1
        if is_full(start, end) or fault:
            yield chunk(fault, detail)
            count = 0
    if count:
        yield chunk()
