"""How values travel: each comes back the same, and equal ones as equal bytes."""

from __future__ import annotations

import pickle

import msgspec
import pytest
from apache_beam import coders as beam_coders

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.contract.finding import Place
from beam_mat.core.contract.unit import DatasetFile, ImageUse, LengthFact, RowLength
from beam_mat.core.contract.unit import Unit as RowUnit
from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member, Packing
from beam_mat.core.reject import Reason
from beam_mat.core.results import (
    ChunkFact,
    ImageOutcome,
    MixJob,
    PathFact,
    Source,
    Unit,
    Wanted,
    Written,
)
from beam_mat.core.scan import Layout
from beam_mat.transforms import coders

SHARD = Shard("memory://in/é.json", 3, 1 << 40, "v1", 7)
CHUNK = Chunk("mat-0", SHARD, Layout.ARRAY, 1, 9, 0, 2)
FAULT = ImageFault(Reason.IMAGE_TRUNCATED, "ends early")
MEMBER = Member("a/1.jpg", "z.zip", 1, 5, 99, 80, 70, Packing.DEFLATED, 0xFFFFFFFF, FAULT)
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
    ChunkFact(chunk=CHUNK),
    ChunkFact(
        outcomes=(
            ImageOutcome("a", file="images/a.1.jpg", tokens=(3, 4)),
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
    assert {type(value) for value in VALUES} == set(coders.STRUCTS)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_come_back(value: msgspec.Struct) -> None:
    coders.register()
    coder = beam_coders.registry.get_coder(type(value))
    assert isinstance(coder, coders.StructCoder)
    assert coder.is_deterministic()
    encoded = coder.encode(value)
    assert coder.decode(encoded) == value
    assert coder.encode(coder.decode(encoded)) == encoded
    again = pickle.loads(pickle.dumps(coder))
    assert again == coder
    assert hash(again) == hash(coder)
    assert again.decode(encoded) == value


def test_coders_of_different_types_differ() -> None:
    assert coders.StructCoder(Source) != coders.StructCoder(Unit)
