"""A watched dataset added up, in the form of a conversion's totals."""

from __future__ import annotations

from collections.abc import Iterable

from beam_mat.core.generation import ShardEntry
from beam_mat.core.notes import Part
from beam_mat.core.shard_totals import add_rejected
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
            add_rejected(totals.rejected, note.rejected)
    return totals
