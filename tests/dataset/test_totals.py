"""Sums over a dataset: independent of the order in which its shards came."""

from __future__ import annotations

import msgspec

from beam_mat.core.reject import Reason
from beam_mat.core.results import RejectCount
from beam_mat.core.statistics import Statistics
from beam_mat.dataset.image_table import ImageTotals
from beam_mat.dataset.totals import statistics_of, totals_of
from tests.dataset.made import shard

IMAGES = ImageTotals({"kept": 2, "image_missing": 1}, 6, 4)
A, B = (
    shard(name, order=order, rejected=2, respelled=3, statistics=Statistics(turns={2: order + 1}))
    for order, name in enumerate("ab")
)


def test_sums() -> None:
    found = totals_of([B, A], IMAGES)
    assert found == totals_of([A, B], IMAGES)
    assert (found.records, found.accepted, found.rejected_records) == (6, 2, 4)
    assert found.rejected[Reason.NOT_AN_OBJECT].first.source == "/in/a.json", "the first shard's"
    assert found.counts() == {
        "records": 6,
        "accepted": 2,
        "rejected": 4,
        "rejected_by_reason": {"not_an_object": 4},
        "respelled_words": 6,
        "image_uses": 2,
        "images": {"kept": 2, "image_missing": 1},
        "image_source_bytes": 6,
        "image_bytes": 4,
    }


def test_reasons_have_the_order_of_the_enumeration() -> None:
    (why,) = A.rejected
    reasons = [Reason.IMAGE_MISSING, Reason.NO_ID]
    counts = tuple(RejectCount(reason, 1, why.first) for reason in reasons)
    found = totals_of([msgspec.structs.replace(A, rejected=counts)], IMAGES)
    ordered = [reason.value for reason in Reason if reason in reasons]
    assert list(found.counts()["rejected_by_reason"]) == ordered


def test_statistics_are_merged() -> None:
    assert statistics_of([A, B]).turns == {2: 3}
    assert statistics_of([]) == Statistics()


def test_a_dataset_without_shards() -> None:
    found = totals_of([], ImageTotals({}, 0, 0))
    assert (found.records, found.accepted, found.rejected) == (0, 0, {})
