"""Cuts a shard into chunks, which are the units of work, and names the files made from them.

A chunk is a byte range of whole records. The steps of the pipeline pass references to chunks, not
their bytes.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator

import msgspec

from beam_mat.core.limits import MAX_RECORD_BYTES
from beam_mat.core.reject import Reason
from beam_mat.core.scan import Break, Layout, Span

MIN_CHUNK_BYTES = 4 << 20
MAX_CHUNKS = 1000


class Shard(msgspec.Struct, frozen=True, array_like=True):
    """One JSON input file.

    Attributes:
        uri: Address of the file.
        order: Position among the job's shards, from 0.
        size: Size in bytes.
        version: Modification time, generation or ETag. It changes when the content changes.
        limit: Number of records to convert, or None for all.
    """

    uri: str
    order: int
    size: int
    version: str
    limit: int | None = None

    def chunk_bytes(self) -> int:
        """The size in bytes at which a chunk is closed. It depends only on this shard's size."""
        return max(MIN_CHUNK_BYTES, -(-self.size // MAX_CHUNKS))

    def stem(self, digest: str) -> str:
        """The prefix of the names of all files that are made from this shard.

        It depends on the uri, size, version, limit and the configuration's `digest`. A changed
        shard or configuration therefore never overwrites existing files or gets mistaken for them.
        """
        key = msgspec.json.encode([self.uri, self.size, self.version, self.limit, digest])
        readable = re.sub(r"[^A-Za-z0-9_-]+", "-", posixpath.basename(self.uri).split(".")[0])
        return f"{readable[:40] or 'shard'}-{hashlib.sha256(key).hexdigest()[:10]}"


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """A reference to consecutive whole records, or to bytes that cannot be split into records.

    Attributes:
        name: Unique in the job; the part files are named after it.
        shard: The shard that holds the bytes.
        layout: How the shard separates its records.
        start, end: Byte range in the shard, end exclusive.
        first: Index of the first record in the shard, from 0.
        count: Number of records.
        fault: Why the whole range is rejected as one record (`count` is then 1), or None.
        detail: A description of the problem if `fault` is set.
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


def cut(
    shard: Shard, layout: Layout, found: Iterable[Span | Break], digest: str
) -> Iterator[Chunk]:
    """Groups a shard's records into chunks of about `Shard.chunk_bytes`.

    Together, the chunks hold all records of the shard, in order. A break, or a record of more than
    MAX_RECORD_BYTES, becomes a chunk of its own with a fault.

    Args:
        shard: The shard that was scanned.
        layout: The shard's layout.
        found: The output of `beam_mat.core.scan.scan` for this shard.
        digest: The configuration's digest, see `Shard.stem`.
    """
    stem = shard.stem(digest)
    goal = shard.chunk_bytes()
    index = 0
    start = end = -1
    count = 0

    def chunk(at: int, stop: int, first: int, number: int, fault: Reason | None, why: str) -> Chunk:
        return Chunk(f"{stem}-{at:014d}", shard, layout, at, stop, first, number, fault, why)

    for item in found:
        if shard.limit is not None and index >= shard.limit:
            break
        large = isinstance(item, Span) and item.end - item.start > MAX_RECORD_BYTES
        if count and (large or isinstance(item, Break) or end - start >= goal):
            yield chunk(start, end, index - count, count, None, "")
            count = 0
        if isinstance(item, Break):
            yield chunk(item.start, shard.size, index, 1, Reason.MALFORMED_JSON, item.detail)
        elif large:
            size = item.end - item.start
            detail = f"the record has {size} bytes; the limit is {MAX_RECORD_BYTES}"
            yield chunk(item.start, item.end, index, 1, Reason.RECORD_TOO_LARGE, detail)
        else:
            start, end = (item.start if count == 0 else start), item.end
            count += 1
        index += 1
    if count:
        yield chunk(start, end, index - count, count, None, "")
