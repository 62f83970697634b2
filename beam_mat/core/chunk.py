"""Cuts a shard into chunks: the units of work, and the names that everything made of one carries.

A chunk is a byte range that holds whole records. What travels between the steps of the pipeline is
the reference, not the bytes.
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
        uri: Where it is.
        order: Its place among the job's shards, from 0.
        size: Bytes.
        version: What changes when its content does (modification time, generation, etag).
        limit: How many of its records to convert, or None for all.
    """

    uri: str
    order: int
    size: int
    version: str
    limit: int | None = None

    def chunk_bytes(self) -> int:
        """The size from which a chunk is closed: a function of this shard's size alone."""
        return max(MIN_CHUNK_BYTES, -(-self.size // MAX_CHUNKS))

    def stem(self, digest: str) -> str:
        """The name that all output of this shard begins with.

        A function of uri, size, version, limit and the configuration's `digest`, so that a changed
        shard or another configuration never writes over, or is taken for, what is there.
        """
        key = msgspec.json.encode([self.uri, self.size, self.version, self.limit, digest])
        readable = re.sub(r"[^A-Za-z0-9_-]+", "-", posixpath.basename(self.uri).split(".")[0])
        return f"{readable[:40] or 'shard'}-{hashlib.sha256(key).hexdigest()[:10]}"


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """A reference to a run of whole records, or to a part of a shard that holds none.

    Attributes:
        name: Unique in the job; the part files are named after it.
        shard: Where the bytes are.
        layout: How the records are strung together.
        start, end: Byte range in the shard, end exclusive.
        first: Index in the shard of the first record.
        count: Number of records.
        fault: Why the whole range is one reject (then `count` is 1), or None.
        detail: What was found, when `fault` is set.
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

    The records of all chunks together are the records of the shard, in order. A break, and a record
    beyond MAX_RECORD_BYTES, become chunks of their own with a fault.

    Args:
        shard: The shard that was scanned.
        layout: Its layout.
        found: What `beam_mat.core.scan.scan` yields for it.
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
            detail = f"{item.end - item.start} bytes, {MAX_RECORD_BYTES} are allowed"
            yield chunk(item.start, item.end, index, 1, Reason.RECORD_TOO_LARGE, detail)
        else:
            start, end = (item.start if count == 0 else start), item.end
            count += 1
        index += 1
    if count:
        yield chunk(start, end, index - count, count, None, "")
