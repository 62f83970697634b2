"""Totals of the shards and images of a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from beam_mat.core.reject import Reason
from beam_mat.core.results import RejectCount, ShardSummary, sum_rejected
from beam_mat.core.statistics import Statistics
from beam_mat.dataset.commit import in_order
from beam_mat.dataset.image_table import ImageTotals


class Totals(msgspec.Struct):
    """Totals of a dataset. Counts are as in `ShardSummary`; `rejected` is by reason."""

    records: int
    accepted: int
    rejected: dict[Reason, RejectCount]
    respelled: int
    image_uses: int
    images: ImageTotals

    @property
    def rejected_records(self) -> int:
        return sum(found.count for found in self.rejected.values())

    def counts(self) -> dict[str, Any]:
        """Returns the counts of a commit and of the manifest."""
        reasons = [reason for reason in Reason if reason in self.rejected]
        return {
            "records": self.records,
            "accepted": self.accepted,
            "rejected": self.rejected_records,
            "rejected_by_reason": {one.value: self.rejected[one].count for one in reasons},
            "respelled_words": self.respelled,
            "image_uses": self.image_uses,
            "images": self.images.status,
            "image_source_bytes": self.images.source_bytes,
            "image_bytes": self.images.bytes,
        }


def totals_of(shards: Iterable[ShardSummary], images: ImageTotals) -> Totals:
    """Returns the totals of all shards and images of a dataset."""
    shards = in_order(shards)
    return Totals(
        records=sum(one.records for one in shards),
        accepted=sum(one.accepted for one in shards),
        rejected=sum_rejected(found for one in shards for found in one.rejected),
        respelled=sum(one.respelled for one in shards),
        image_uses=sum(one.image_uses for one in shards),
        images=images,
    )


def statistics_of(shards: Iterable[ShardSummary]) -> Statistics:
    """Returns the statistics of the records of shards."""
    statistics = Statistics()
    for one in in_order(shards):
        statistics.merge(one.statistics)
    return statistics
