"""Reads JSON shards: the chunks of a shard, and the records of a chunk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from beam_mat.core.chunk import Chunk, RawRecord, Shard, cut
from beam_mat.core.errors import SourceError
from beam_mat.core.limits import MAX_RAW_BYTES
from beam_mat.core.scan import HEAD_BYTES, Break, Layout, Span, detect, scan, scan_chunk
from beam_mat.storage import files


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
    """Returns how many records a shard has. Stops counting at `at_most`."""
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
    number = 0
    try:
        for span in _spans(chunk, data):
            raw = data[span.start - chunk.start : span.end - chunk.start]
            yield RawRecord(chunk, chunk.first + number, span, raw)
            number += 1
    except ValueError as error:
        raise SourceError(
            f"{chunk.shard.uri}: {error}; the file changed while it was read: run the command again"
        ) from error
    if number != chunk.count:
        raise SourceError(
            f"{chunk.shard.uri}: {number} records between bytes {chunk.start} and {chunk.end}, but "
            f"{chunk.count} before; the file changed while it was read: run the command again"
        )


_BETWEEN = re.compile(rb"[ \t\n\r,]*")


def _spans(chunk: Chunk, data: bytes) -> Iterable[Span]:
    """Returns the spans of the records, from the JSON decoder if the chunk is valid."""
    if chunk.layout is Layout.ARRAY:
        try:
            elements = msgspec.json.decode(b"[" + data + b"]", type=list[msgspec.Raw])
        except (msgspec.DecodeError, RecursionError):
            return scan_chunk(chunk.layout, [data], chunk.start)
        spans, at = [], 0
        for element in elements:
            between = _BETWEEN.match(data, at)
            start = between.end() if between else at
            at = start + len(memoryview(element))
            spans.append(Span(chunk.start + start, chunk.start + at))
        return spans
    return scan_chunk(chunk.layout, [data], chunk.start)
