"""Results come back as they were written, by name."""

from __future__ import annotations

import msgspec
import pytest

from beam_mat.core import layout
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.results import (
    ChunkOutput,
    MixJob,
    MixOutput,
    Part,
    RejectCount,
    ShardSplit,
    Unit,
)
from beam_mat.core.settings import Settings
from beam_mat.core.statistics import Statistics
from beam_mat.storage import files
from beam_mat.work import results
from tests.build import chunk

PART = Part("jsonl/train-a.jsonl", "jsonl", "train", 2, 1, 100, "ab" * 32)
FIRST = Reject(Reason.NO_ID, "é\u2028", "/a.json", 0, 1, 9, None, "")
OUTPUT = ChunkOutput(
    records=5,
    accepted=2,
    respelled=0,
    image_uses=1,
    rejected=(RejectCount(Reason.NO_ID, 3, FIRST),),
    units=(Unit("a", "train", 1, 2),),
    parts=(PART,),
    rejects=msgspec.structs.replace(PART, path="rejects/a.jsonl"),
    statistics=Statistics(turns={2: 5}),
    missing=("gone.jpg",),
)
SPLIT = ShardSplit(5, (chunk(fault=Reason.MALFORMED_JSON, detail="cut off"),))


@pytest.fixture
def settings(root: str) -> Settings:
    return Settings(root, resume=True)


def test_results_come_back_by_name(settings: Settings) -> None:
    for name in ("b", "f/a"):
        results.write(settings, layout.OUTPUTS, name, OUTPUT)
        results.write(settings, layout.SPLITS, name, SPLIT)
    assert results.find(settings, layout.OUTPUTS, "f/a", ChunkOutput) == OUTPUT
    assert results.find(settings, layout.OUTPUTS, "a", ChunkOutput) is None
    assert list(results.read(settings, layout.SPLITS, ["f/a", "b"], ShardSplit)) == [SPLIT, SPLIT]
    assert list(results.collect(settings, layout.OUTPUTS, ChunkOutput)) == [OUTPUT, OUTPUT]


def test_results_are_read_in_the_order_that_is_asked_for(settings: Settings) -> None:
    for number in range(5):
        results.write(settings, layout.SPLITS, str(number), ShardSplit(number, ()))
    wanted = [3, 0, 4, 0]
    found = results.read(settings, layout.SPLITS, map(str, wanted), ShardSplit)
    assert [one.records for one in found] == wanted


def test_without_resume_nothing_is_looked_for(settings: Settings) -> None:
    results.write(settings, layout.SPLITS, "a", SPLIT)
    fresh = msgspec.structs.replace(settings, resume=False)
    assert results.find(fresh, layout.SPLITS, "a", ShardSplit) is None
    assert list(results.read(fresh, layout.SPLITS, ["a"], ShardSplit)) == [SPLIT]


def test_a_result_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(FileNotFoundError, match=r"shards(/|%2F)none\.json"):
        list(results.read(settings, layout.SPLITS, ["none"], ShardSplit))


@pytest.mark.parametrize("data", [b"", b'{"records": 5, "chunks": [', b'{"records": "five"}'])
def test_one_that_cannot_be_decoded_counts_as_missing(settings: Settings, data: bytes) -> None:
    uri = results.place(settings, layout.SPLITS, "a")
    files.write_bytes(uri, data, files.join(settings.output, layout.SCRATCH))
    assert results.find(settings, layout.SPLITS, "a", ShardSplit) is None


def test_a_result_written_twice_is_one(settings: Settings) -> None:
    for _ in range(2):
        results.write(settings, layout.MIXES, "a", MixOutput(MixJob(None, ()), (), ()))
    assert len(list(results.collect(settings, layout.MIXES, MixOutput))) == 1


def test_no_results_are_no_error(settings: Settings) -> None:
    assert list(results.collect(settings, layout.MIXES, MixOutput)) == []
    assert list(results.read(settings, layout.MIXES, [], MixOutput)) == []


def test_json_that_was_cut_off_is_not_whole() -> None:
    data = msgspec.json.encode(SPLIT)
    assert results.is_json("", data)
    assert not any(results.is_json("", data[:end]) for end in range(0, len(data), 7))
