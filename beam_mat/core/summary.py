"""Summaries of shards, which are compared with the number of records in the shard.

The graphs write one summary per shard. The totals of a dataset are sums over its summaries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.errors import LostRecordError
from beam_mat.core.reject import Reason
from beam_mat.core.results import ChunkOutput, Part, RejectCount, ShardSplit, Unit
from beam_mat.core.statistics import Statistics


class ShardSummary(msgspec.Struct, frozen=True):
    """A finished shard.

    Attributes:
        uri, order, size, version, limit: As in `core.chunk.Shard`.
        stem: `Shard.stem`: the beginning of the names of its files.
        records: Number of records in the shard.
        accepted: Number of records in its parts.
        respelled: Number of words that were respelled in them.
        image_uses: Number of images in accepted records; repeated images count each time.
        rejected: The other records, by reason, in the order of `Reason`.
        units: The units of its parts.
        parts: The data files of its chunks. Those of text-only units are below ``_beam_mat/``.
        rejects: The files of rejected records.
        missing: Images of its records that no source has, sorted.
        tables: The image results that have rows of its images, sorted.
        statistics: Statistics of its records.
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
        """The shard that was summarised."""
        return Shard(self.uri, self.order, self.size, self.version, self.limit)

    @property
    def content(self) -> tuple[int, str]:
        """Size and version, which identify the shard's content."""
        return self.size, self.version

    @property
    def rejected_records(self) -> int:
        """Number of rejected records."""
        return sum(found.count for found in self.rejected)


def summarise(
    shard: Shard,
    stem: str,
    split: ShardSplit,
    outputs: Mapping[str, ChunkOutput],
    tables: Iterable[str],
) -> ShardSummary:
    """Returns the summary of a shard.

    Args:
        shard: The shard.
        stem: Its stem.
        split: Its chunks.
        outputs: The output of each chunk, by the chunk's name.
        tables: The image results that have rows of its images.

    Raises:
        LostRecordError: A chunk has no output, or a record is neither accepted nor rejected, or is
            both.
    """
    if outputs.keys() != {chunk.name for chunk in split.chunks}:
        raise LostRecordError(f"{shard.uri}: the written chunks are not the chunks of the shard")
    statistics = Statistics()
    rejected: dict[Reason, RejectCount] = {}
    in_order = [outputs[chunk.name] for chunk in split.chunks]
    for chunk, output in zip(split.chunks, in_order, strict=True):
        refused = sum(found.count for found in output.rejected)
        if output.accepted + refused != chunk.count:
            raise LostRecordError(
                f"{shard.uri}, bytes {chunk.start} to {chunk.end}: {chunk.count} records in, "
                f"{output.accepted} accepted, {refused} rejected"
            )
        statistics.merge(output.statistics)
        add_rejected(rejected, output.rejected)
    summary = ShardSummary(
        uri=shard.uri,
        order=shard.order,
        size=shard.size,
        version=shard.version,
        limit=shard.limit,
        stem=stem,
        records=split.records,
        accepted=sum(output.accepted for output in in_order),
        respelled=sum(output.respelled for output in in_order),
        image_uses=sum(output.image_uses for output in in_order),
        rejected=tuple(rejected[reason] for reason in Reason if reason in rejected),
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
    """Checks that each record of a shard is accepted or rejected.

    Raises:
        LostRecordError: The numbers do not add up.
    """
    if summary.accepted + summary.rejected_records != summary.records:
        raise LostRecordError(
            f"{summary.uri}: {summary.records} records in, {summary.accepted} accepted, "
            f"{summary.rejected_records} rejected"
        )


def add_rejected(rejected: dict[Reason, RejectCount], more: Iterable[RejectCount]) -> None:
    """Adds counts to `rejected`, and keeps the first record of each reason."""
    for found in more:
        known = rejected.get(found.reason)
        rejected[found.reason] = (
            msgspec.structs.replace(known, count=known.count + found.count) if known else found
        )
