"""Grouping in packed arrays: nothing is lost, added or changed, wherever bundles are cut."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import apache_beam as beam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.member import Member, Packing
from beam_mat.core.results import PathFact
from beam_mat.transforms import group
from beam_mat.transforms.group import Gather, Group, GroupMany, Open
from tests.transforms.collect import collect

MEMBER = Member("é/1.jpg", "z.zip", 1, 5, 99, 80, 70, Packing.DEFLATED, 7)
FACTS = [
    ("é/1.jpg", PathFact(chunk="a-0")),
    ("é/1.jpg", PathFact(member=MEMBER)),
    ("b", PathFact(chunk="a-0")),
    ("é/1.jpg", PathFact(chunk="a-1")),
    ("b", PathFact(chunk="a-0")),
]


def sets(groups: list[tuple[str, list[Any]]]) -> dict[str, list[Any]]:
    """Groups by key, each in one order; no key comes twice."""
    found = {key: sorted(values, key=repr) for key, values in groups}
    assert len(found) == len(groups)
    return found


@pytest.mark.parametrize("by", [Group, GroupMany])
def test_every_value_comes_to_its_key(by: type[beam.PTransform]) -> None:
    expected = {
        "é/1.jpg": sorted((fact for path, fact in FACTS if path == "é/1.jpg"), key=repr),
        "b": [PathFact(chunk="a-0")] * 2,
    }
    assert sets(collect(FACTS, by(PathFact))) == expected


def _asked(pair: tuple[str, PathFact]) -> bool:
    return pair[1].chunk is not None


def _held(pair: tuple[str, PathFact]) -> bool:
    return pair[1].member is not None


@pytest.mark.parametrize("by", [Group, GroupMany])
def test_several_collections_are_grouped_as_one(by: type[beam.PTransform]) -> None:
    class Halves(beam.PTransform):  # type: ignore[misc]
        def expand(self, facts: Any) -> Any:
            ones = (
                facts | name >> beam.Filter(wanted).with_output_types(tuple[str, PathFact])
                for name, wanted in (("Asked", _asked), ("Held", _held))
            )
            return tuple(ones) | by(PathFact)

    assert sets(collect(FACTS, Halves())) == sets(collect(FACTS, Group(PathFact)))


def test_no_elements_are_no_groups() -> None:
    assert collect([], GroupMany(PathFact)) == []


PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2**40)), max_size=40)


@given(bundles=st.lists(PAIRS, max_size=4), limit=st.integers(0, 60))
def test_wherever_it_is_cut_all_comes_back_in_order(
    bundles: list[list[tuple[str, int]]], limit: int
) -> None:
    packed = defaultdict[str, list[bytes]](list)
    expected = defaultdict[str, list[int]](list)
    gather = Gather()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "GATHERED_BYTES", limit)
        for bundle in bundles:
            gather.start_bundle()
            for pair in bundle:
                expected[pair[0]].append(pair[1])
                for key, array in gather.process(pair):
                    packed[key].append(array)
            for windowed in gather.finish_bundle():
                key, array = windowed.value
                packed[key].append(array)
    opened = Open(int)
    opened.setup()
    assert {key: values for pair in packed.items() for key, values in opened.process(pair)} == (
        expected
    )


def test_what_waits_is_sent_on_when_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "GATHERED_BYTES", 100)
    gather = Gather()
    gather.start_bundle()
    sent = [pair for _ in range(1000) for pair in gather.process(("key", "0123456789"))]
    assert len(sent) == 100  # ten values of eleven bytes each
    assert list(gather.finish_bundle()) == []


def test_resembling_values_take_less_room_packed() -> None:
    gather = Gather()
    gather.start_bundle()
    values = [f"mat-00000-of-00001-{at:012}" for at in range(1000)]
    for value in values:
        assert not list(gather.process(("key", value)))
    (sent,) = gather.finish_bundle()
    assert len(sent.value[1]) < sum(map(len, values)) / 4
