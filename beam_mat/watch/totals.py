"""A watched dataset added up, in the form of a conversion's totals."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from beam_mat.core.generation import ShardEntry
from beam_mat.core.notes import Part, RejectCount
from beam_mat.core.reject import Reason
from beam_mat.totals import ImageTotals, Totals


def totals_of(
    shards: Iterable[ShardEntry], parts: list[Part], rejects: list[Part], images: ImageTotals
) -> Totals:
    """Adds shards up.

    Args:
        shards: Of the dataset.
        parts: Its data files.
        rejects: Its files of rejected records.
        images: Its images.
    """
    totals = Totals(0, 0, {}, 0, 0, {}, parts, rejects, set(), set(), images)
    for entry in sorted(shards, key=lambda entry: (entry.order, entry.uri)):
        totals.records += entry.records
        totals.accepted += entry.accepted
        totals.shard_records[entry.uri] = entry.records
        for note in entry.chunks:
            totals.respelled += note.respelled
            totals.image_uses += note.image_uses
            for found in note.rejected:
                _add_rejected(totals.rejected, found)
    return totals


def _add_rejected(rejected: dict[Reason, RejectCount], found: RejectCount) -> None:
    known = rejected.get(found.reason)
    rejected[found.reason] = (
        msgspec.structs.replace(known, count=known.count + found.count) if known else found
    )
