"""A record's bytes and their position in the shard."""

from __future__ import annotations

from beam_mat.core.chunk import Chunk
from beam_mat.core.limits import MAX_RAW_BYTES
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.scan import Span


class RawRecord:
    """One record of a chunk: its position and its bytes.

    Attributes:
        chunk: The chunk that contains the record.
        index: Position of the record in the shard, from 0.
        start, end: Byte range in the shard, end exclusive.
        data: The record's bytes. If the chunk has a fault, only the first MAX_RAW_BYTES.
    """

    __slots__ = ("chunk", "data", "end", "index", "start")

    def __init__(self, chunk: Chunk, index: int, span: Span, data: bytes) -> None:
        self.chunk = chunk
        self.index = index
        self.start = span.start
        self.end = span.end
        self.data = data

    def reject(self, reason: Reason, detail: str, id: str | None) -> Reject:
        """Makes a reject of this record."""
        return Reject(
            reason=reason,
            detail=detail,
            source=self.chunk.shard.uri,
            index=self.index,
            start=self.start,
            end=self.end,
            id=id,
            record=self.data[:MAX_RAW_BYTES].decode("utf-8", "backslashreplace"),
            record_truncated=self.end - self.start > MAX_RAW_BYTES,
        )
