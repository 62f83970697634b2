"""How values travel: each comes back the same, and grouping loses, adds and changes none."""

from __future__ import annotations

import pickle
from collections import defaultdict
from typing import Any

import apache_beam as beam
import msgspec
import pytest
from apache_beam import coders as beam_coders
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.contract.finding import Place
from beam_mat.core.contract.unit import DatasetFile, ImageUse, LengthFact, RowLength
from beam_mat.core.contract.unit import Unit as RowUnit
from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member, Packing
from beam_mat.core.nearest import Near
from beam_mat.core.reject import Reason
from beam_mat.core.results import (
    ChunkFact,
    ImageOutcome,
    MixJob,
    NearFact,
    PathFact,
    Source,
    Unit,
    Wanted,
    Written,
)
from beam_mat.core.scan import Layout
from beam_mat.transforms import shuffle
from beam_mat.transforms.shuffle import Gather, Group, GroupMany, unpacked
from tests.transforms.collect import collect

SHARD = Shard("memory://in/é.json", 3, 1 << 40, "v1", 7)
CHUNK = Chunk("mat-0", SHARD, Layout.ARRAY, 1, 9, 0, 2)
FAULT = ImageFault(Reason.IMAGE_TRUNCATED, "ends early")
MEMBER = Member("a/1.jpg", "z.zip", 1, 5, 99, 80, 70, Packing.DEFLATED, 0xFFFFFFFF, FAULT)
NEAR = Near(1, "b/a/3.png", "/in/folder/b.zip", inside=True, is_one_of=True)
UNIT = Unit("mat-1", "train", 3, 10)
FILE = DatasetFile(0, 1, "memory://d/é.jsonl", 1 << 40, "v1", "json")
LENGTH = RowLength(Place(1, 2, "x"), 5, ((1, 2), (3,)), ("a.jpg", 7))
VALUES: list[msgspec.Struct] = [
    SHARD,
    CHUNK,
    Chunk("mat-9", SHARD, Layout.LINES, 9, 20, 2, 1, Reason.MALFORMED_JSON, "what"),
    Source("f.zip", 0),
    PathFact(chunk="mat-0"),
    PathFact(member=MEMBER),
    PathFact(missed_by="mat"),
    Wanted("a/1.jpg", MEMBER, ("mat-0", "mat-9")),
    Wanted("a/2.jpg", None, ()),
    Wanted("a/3.jpg", None, ("mat-0",), NEAR),
    NearFact(path="a/3.jpg"),
    NearFact(member=NEAR),
    NearFact(wanted=Wanted("a/3.jpg", None, ("mat-0",))),
    ChunkFact(chunk=CHUNK),
    ChunkFact(
        outcomes=(
            ImageOutcome("a", None, "images/a.1.jpg", (3, 4), (900, 700), (580, 451)),
            ImageOutcome("b", FAULT),
        ),
        table="0a/1b",
    ),
    ChunkFact(repeated=0),
    Written("mat-0", "mat-0-1a", ("0a/1b", "0a/2c")),
    UNIT,
    MixJob(UNIT, (UNIT, UNIT)),
    MixJob(None, (UNIT,)),
    FILE,
    RowUnit(FILE, 3, 100),
    RowUnit(FILE, 3, 100, CHUNK),
    ImageUse(0, "a.jpg", "0-1-3", 2, Place(1, 2)),
    LengthFact(1, rows=(LENGTH,)),
    LengthFact(1, tokens=(("a.jpg", 12), ("b.jpg", -1))),
]


def test_every_type_that_travels_is_tried() -> None:
    assert {type(value) for value in VALUES} == set(shuffle.STRUCTS)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_come_back(value: msgspec.Struct) -> None:
    shuffle.register()
    coder = beam_coders.registry.get_coder(type(value))
    assert isinstance(coder, shuffle.StructCoder)
    assert coder.is_deterministic()
    encoded = coder.encode(value)
    assert coder.decode(encoded) == value
    assert coder.encode(coder.decode(encoded)) == encoded
    again = pickle.loads(pickle.dumps(coder))
    assert again == coder
    assert hash(again) == hash(coder)
    assert again.decode(encoded) == value


def test_coders_of_different_types_differ() -> None:
    assert shuffle.StructCoder(Source) != shuffle.StructCoder(Unit)


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
        patch.setattr(shuffle, "GATHERED_BYTES", limit)
        for bundle in bundles:
            gather.start_bundle()
            for pair in bundle:
                expected[pair[0]].append(pair[1])
                for key, array in gather.process(pair):
                    packed[key].append(array)
            for windowed in gather.finish_bundle():
                key, array = windowed.value
                packed[key].append(array)
    assert dict(unpacked(int, *pair) for pair in packed.items()) == expected


def test_what_waits_is_sent_on_when_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffle, "GATHERED_BYTES", 100)
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
