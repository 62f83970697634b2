"""What became of a shard: its chunks added up and held against what the split counted.

Every shard is added up where the graph runs, so that the driver has one small file a shard to read
and not one a chunk.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.errors import LostRecordError
from beam_mat.core.notes import ChunkNote, Part, RejectCount, ShardNote
from beam_mat.core.reject import Reason
from beam_mat.core.statistics import Statistics


class ShardTotals(msgspec.Struct):
    """A shard, added up.

    Attributes:
        generation: Of the job that added it up, see `Settings.generation`.
        shard: The shard.
        accepted: Records in its parts.
        respelled: Words that were respelled in them.
        image_uses: Images of the accepted records, repetitions counted.
        rejected: The other records, by reason.
        parts: The files written, by chunk.
        rejects: The files of rejected records.
        statistics: What its records are like.
    """

    generation: str
    shard: Shard
    accepted: int = 0
    respelled: int = 0
    image_uses: int = 0
    rejected: dict[Reason, RejectCount] = {}  # msgspec copies it, like those below
    parts: list[Part] = []
    rejects: list[Part] = []
    statistics: Statistics = msgspec.field(default_factory=Statistics)

    @property
    def rejected_records(self) -> int:
        """Number of rejected records."""
        return sum(found.count for found in self.rejected.values())


def add_up_shard(split: ShardNote, chunks: Iterable[ChunkNote], totals: ShardTotals) -> ShardTotals:
    """Adds the chunks of a shard up.

    Args:
        split: What the split found in the shard.
        chunks: What became of each of its chunks, in order.
        totals: Of no chunk; they are added to these.

    Raises:
        LostRecordError: A record is neither accepted nor rejected, or is both.
    """
    for expected, note in zip(split.chunks, chunks, strict=True):
        # The split may be an earlier run's, for which the shard had another place among others.
        chunk = msgspec.structs.replace(expected, shard=totals.shard)
        where = f"{totals.shard.uri}, bytes {chunk.start} to {chunk.end}"
        if (note.generation, note.chunk) != (totals.generation, chunk):
            raise LostRecordError(f"{where}: an earlier run wrote this chunk, this one did not")
        rejected = sum(found.count for found in note.rejected)
        if note.accepted + rejected != chunk.count:
            raise LostRecordError(
                f"{where}: {chunk.count} records in, {note.accepted} accepted, {rejected} rejected"
            )
        totals.accepted += note.accepted
        totals.respelled += note.respelled
        totals.image_uses += note.image_uses
        totals.statistics.merge(note.statistics)
        totals.parts += note.parts
        totals.rejects += [note.rejects] if note.rejects else []
        add_rejected(totals.rejected, note.rejected)
    return totals


def add_rejected(rejected: dict[Reason, RejectCount], more: Iterable[RejectCount]) -> None:
    """Adds rejected records to those before them, of which the first is kept."""
    for found in more:
        known = rejected.get(found.reason)
        rejected[found.reason] = (
            msgspec.structs.replace(known, count=known.count + found.count) if known else found
        )
