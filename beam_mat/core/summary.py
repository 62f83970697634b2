"""Summaries of shards, which are compared with the number of records in the shard.

The graphs write one summary per shard. The totals of a dataset are sums over its summaries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.errors import LostRecordError
from beam_mat.core.results import ChunkOutput, Part, RejectCount, ShardSplit, Unit, sum_rejected
from beam_mat.core.statistics import Statistics


class ShardSummary(msgspec.Struct, frozen=True):
    """A finished shard: the fields of `Shard`, its stem, and the sums of its `ChunkOutput`.

    `rejected` is in the order of `Reason`. `parts` of text-only units are below ``_beam_mat/``.
    `tables` are the image results that have rows of its images. `missing` and `tables` are sorted.
    """

    uri: str
    order: int
    size: int
    version: str
    limit: int | None
    stem: str
    records: int
    accepted: int
    respelled: int
    image_uses: int
    rejected: tuple[RejectCount, ...]
    units: tuple[Unit, ...]
    parts: tuple[Part, ...]
    rejects: tuple[Part, ...]
    missing: tuple[str, ...]
    tables: tuple[str, ...]
    statistics: Statistics

    @property
    def shard(self) -> Shard:
        return Shard(self.uri, self.order, self.size, self.version, self.limit)

    @property
    def content(self) -> tuple[int, str]:
        """Size and version, which identify the shard's content."""
        return self.size, self.version

    @property
    def rejected_records(self) -> int:
        return sum(found.count for found in self.rejected)


def summarise(
    shard: Shard,
    stem: str,
    split: ShardSplit,
    outputs: Mapping[str, ChunkOutput],
    tables: Iterable[str],
) -> ShardSummary:
    """Returns the summary of a shard. `outputs` are by the names of the chunks.

    Raises:
        LostRecordError: A chunk has no output, or a record is not accepted or rejected once.
    """
    if outputs.keys() != {chunk.name for chunk in split.chunks}:
        raise LostRecordError(f"{shard.uri}: the written chunks are not the chunks of the shard")
    statistics = Statistics()
    in_order = [outputs[chunk.name] for chunk in split.chunks]
    for chunk, output in zip(split.chunks, in_order, strict=True):
        refused = sum(found.count for found in output.rejected)
        if output.accepted + refused != chunk.count:
            raise LostRecordError(
                f"{shard.uri}, bytes {chunk.start} to {chunk.end}: {chunk.count} records in, "
                f"{output.accepted} accepted, {refused} rejected"
            )
        statistics.merge(output.statistics)
    rejected = sum_rejected(found for output in in_order for found in output.rejected)
    summary = ShardSummary(
        **msgspec.structs.asdict(shard),
        stem=stem,
        records=split.records,
        accepted=sum(output.accepted for output in in_order),
        respelled=sum(output.respelled for output in in_order),
        image_uses=sum(output.image_uses for output in in_order),
        rejected=tuple(rejected.values()),
        units=tuple(unit for output in in_order for unit in output.units),
        parts=tuple(part for output in in_order for part in output.parts),
        rejects=tuple(output.rejects for output in in_order if output.rejects),
        missing=tuple(sorted({path for output in in_order for path in output.missing})),
        tables=tuple(sorted(set(tables))),
        statistics=statistics.ordered(),
    )
    check_records(summary)
    return summary


def check_records(summary: ShardSummary) -> None:
    """Raises LostRecordError unless each record of a shard is accepted or rejected."""
    if summary.accepted + summary.rejected_records != summary.records:
        raise LostRecordError(
            f"{summary.uri}: {summary.records} records in, {summary.accepted} accepted, "
            f"{summary.rejected_records} rejected"
        )
