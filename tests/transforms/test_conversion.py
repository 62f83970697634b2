"""The steps of a conversion: what each yields and writes, and each image is worked on once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec
import pytest

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk
from beam_mat.core.errors import LostRecordError
from beam_mat.core.image import ImageFault
from beam_mat.core.layout import image_file
from beam_mat.core.member import Member, Packing
from beam_mat.core.reject import Reason
from beam_mat.core.results import (
    ChunkFact,
    ChunkOutput,
    ImageOutcome,
    MixOutput,
    PathFact,
    ShardSplit,
    ShardSummary,
    Source,
    Wanted,
)
from beam_mat.core.results import Written as WrittenChunk
from beam_mat.core.settings import Settings
from beam_mat.storage import files, inputs
from beam_mat.transforms.conversion import (
    MISSING,
    WRITTEN,
    ConvertImages,
    ListIds,
    ListMembers,
    Match,
    MixUnits,
    RequestImages,
    SplitShard,
    SummariseShard,
    WriteChunk,
    find_repeated,
    plan_mix,
)
from beam_mat.work import images, results
from beam_mat.work.images import batch_of
from tests import outputs as dataset
from tests.making import image_record, picture, record, write_files, write_zip
from tests.transforms.collect import collect
from tests.transforms.conftest import ShardOf, chunk_of


def test_the_chunks_hold_every_record(settings: Settings, shard_of: ShardOf) -> None:
    large = [record(f"{n}", system="s" * 500_000) for n in range(20)]
    shards = [shard_of(large), shard_of([record("x")]), shard_of([])]
    chunks = collect(shards, SplitShard(settings))
    first = sorted((c for c in chunks if c.shard == shards[0]), key=lambda chunk: chunk.start)
    assert len(first) > 1
    assert [chunk.first for chunk in first] == [
        sum(before.count for before in first[:place]) for place in range(len(first))
    ]
    assert [c.count for c in chunks if c.shard == shards[1]] == [1]
    stems = [shard.stem(settings.digest()) for shard in shards]
    found = list(results.read(settings, layout.SPLITS, stems, ShardSplit))
    assert [one.records for one in found] == [20, 1, 0]
    assert [len(one.chunks) for one in found] == [len(first), 1, 0]
    assert list(found[0].chunks) == first


def test_a_shard_that_breaks_off_ends_with_a_chunk_with_a_fault(
    settings: Settings, shard_of: ShardOf
) -> None:
    shard = shard_of([])
    Path(shard.uri).write_bytes(b'[{"a":1')
    version = files.info(shard.uri).version
    (chunk,) = collect([type(shard)(shard.uri, 0, 7, version)], SplitShard(settings))
    assert (chunk.count, chunk.fault, chunk.start, chunk.end) == (1, "shard_breaks_off", 1, 7)


def test_a_file_that_is_no_shard_ends_the_job(settings: Settings, shard_of: ShardOf) -> None:
    shard = shard_of([])
    Path(shard.uri).write_bytes(b"<html>")
    version = files.info(shard.uri).version
    with pytest.raises(Exception, match="a web page"):
        collect([type(shard)(shard.uri, 0, 6, version)], SplitShard(settings))


TWO = '{"<image_01>": "data/b.jpg", "<image_00>": "data/a.jpg"}'


def test_each_image_is_asked_for_once_a_chunk(settings: Settings, shard_of: ShardOf) -> None:
    records = [
        image_record("1", "data/a.jpg"),
        image_record("2", "data/a.jpg"),
        record("3", image=TWO, question="<image_00><image_01>?"),
        record("4"),
        # Nobody needs the image of a record that is rejected whatever the image is.
        image_record("5", "data/c.jpg", answer=""),
    ]
    one = chunk_of(shard_of(records))
    two = chunk_of(shard_of([image_record("6", "data/a.jpg")]))
    found = collect([one, two], RequestImages(settings))
    assert sorted((path, fact.chunk) for path, fact in found) == sorted(
        [
            ("tongagent/a.jpg", one.name),
            ("tongagent/b.jpg", one.name),
            ("tongagent/a.jpg", two.name),
        ]
    )


def test_ids_come_with_their_place(settings: Settings, shard_of: ShardOf) -> None:
    one = chunk_of(shard_of([record("x"), 7, record("y")]))
    two = chunk_of(shard_of([record("x")]))
    assert sorted(collect([one, two], ListIds(settings))) == [
        ("x", (0, 0, one.name)),
        ("x", (1, 0, two.name)),
        ("y", (0, 2, one.name)),
    ]


def test_all_but_the_first_of_an_id_are_repeated() -> None:
    places = [(1, 0, "b"), (0, 12, "a2"), (0, 3, "a1"), (0, 11, "a2")]
    found = collect([("x", places), ("y", [(5, 5, "z")])], beam.FlatMap(find_repeated))
    assert sorted((name, fact.repeated) for name, fact in found) == [
        ("a2", 11),
        ("a2", 12),
        ("b", 0),
    ]


DATA = picture()
FILE = image_file("a.jpg", hashlib.sha256(DATA).hexdigest(), "JPEG")
GOOD = ImageOutcome("a.jpg", file=FILE)
GONE = ImageOutcome("gone.jpg", ImageFault(Reason.IMAGE_MISSING, "it is nowhere"))


class Written(beam.PTransform):  # type: ignore[misc]
    """The chunks that are written, by their shard's stem."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._step = WriteChunk(settings)

    def expand(self, inputs: Any) -> Any:
        return (inputs | beam.ParDo(self._step).with_outputs(WRITTEN, main="units"))[WRITTEN]


Facts = tuple[str, list[ChunkFact]]


def facts(chunk: Chunk, *outcomes: ImageOutcome, repeated: tuple[int, ...] = ()) -> Facts:
    """All that is known of a chunk; the chunk itself need not come first."""
    known = [ChunkFact(outcomes=(outcome,)) for outcome in outcomes]
    known += [ChunkFact(chunk=chunk), *(ChunkFact(repeated=index) for index in repeated)]
    return chunk.name, known


@pytest.fixture
def output(settings: Settings) -> Path:
    """The output folder, with the image that the image step has written."""
    write_files(Path(settings.output), {FILE: DATA})
    return Path(settings.output)


def test_records_become_rows_or_rejects(
    settings: Settings, shard_of: ShardOf, output: Path
) -> None:
    records = [record("t"), image_record("i", "a.jpg"), image_record("g", "gone.jpg"), 5]
    chunk = chunk_of(shard_of([*records, record("again")]))
    (found,) = collect([facts(chunk, GOOD, GONE, repeated=(4,))], WriteChunk(settings))
    split, unit = found
    assert (split, unit.image_rows, unit.rows) == ("train", 1, 2)
    assert unit.name.startswith(f"{chunk.name}-"), "its outcomes are in the name"
    assert [row["id"] for row in dataset.rows(output)] == ["i", "t"]
    assert [row["id"] for row in dataset.parquet_rows(output)] == ["i", "t"]
    assert [(one["index"], one["reason"]) for one in dataset.rejects(output)] == [
        (2, "image_missing"),
        (3, "not_an_object"),
        (4, "duplicate_id"),
    ]
    (made,) = results.collect(settings, layout.OUTPUTS, ChunkOutput)
    assert (made.records, made.accepted, made.image_uses) == (5, 2, 1)
    assert {part.path.partition("/")[0]: part.rows for part in made.parts} == {
        "jsonl": 2,
        "parquet": 2,
    }


def test_an_outcome_that_never_came_is_no_good_image(
    settings: Settings, shard_of: ShardOf, output: Path
) -> None:
    chunk = chunk_of(shard_of([image_record("i", "a.jpg")]))
    with pytest.raises(KeyError, match=r"a\.jpg"):
        collect([facts(chunk)], WriteChunk(settings))


def test_doing_a_chunk_again_writes_the_same_bytes(
    settings: Settings, shard_of: ShardOf, output: Path
) -> None:
    chunk = chunk_of(shard_of([image_record("i", "a.jpg"), record("t"), 5]))
    collect([facts(chunk, GOOD)], WriteChunk(settings))
    once = dataset.tree(output)
    collect([facts(chunk, GOOD)], WriteChunk(settings))
    assert dataset.tree(output) == once


def test_a_shard_is_summed_up_when_its_chunks_are_written(
    settings: Settings, shard_of: ShardOf, output: Path
) -> None:
    settings = msgspec.structs.replace(settings, fingerprint="f")
    shard = shard_of([image_record("i", "a.jpg"), record("t"), 5])
    split = collect([shard], SplitShard(settings))
    stem = shard.stem(settings.digest())
    ((key, (chunk, written)),) = collect([facts(split[0], GOOD)], Written(settings))
    assert (key, chunk, written.chunk) == (stem, split[0], split[0].name)
    another = (chunk, WrittenChunk("another", written.output, ()))
    with pytest.raises(LostRecordError, match="the written chunks are not the chunks of the shard"):
        collect([(stem, [another])], SummariseShard(settings))
    assert list(results.collect(settings, layout.SUMMARIES, ShardSummary)) == []
    collect([(stem, [(chunk, written)])], SummariseShard(settings))
    name = f"{settings.fingerprint}/{stem}"
    (found,) = results.read(settings, layout.SUMMARIES, [name], ShardSummary)
    (made,) = results.collect(settings, layout.OUTPUTS, ChunkOutput)
    assert (found.shard, found.stem) == (shard, stem)
    assert (found.accepted, found.rejected_records) == (2, 1)
    assert found.parts == made.parts


def test_text_only_chunks_are_dealt_in_with_images(
    settings: Settings, shard_of: ShardOf, output: Path
) -> None:
    settings = msgspec.structs.replace(settings, formats=("jsonl",))
    with_images = [image_record(f"i{n}", "a.jpg") for n in range(4)]
    shards = [
        shard_of([record("t0"), record("t1")]),
        shard_of(with_images),
        shard_of([record("t2")]),
    ]
    inputs = [facts(chunk_of(shard), GOOD) for shard in shards]
    units = collect(inputs, WriteChunk(settings))
    # What has no images yet lies where no reader looks.
    assert sorted(row["id"] for row in dataset.rows(output)) == ["i0", "i1", "i2", "i3"]
    jobs = collect([("train", [unit for _, unit in units])], beam.FlatMap(plan_mix))
    collect(jobs, MixUnits(settings))
    (mix,) = results.collect(settings, layout.MIXES, MixOutput)
    for path in mix.replaced:
        (output / path).unlink()
    ids = [row["id"] for row in dataset.rows(output)]
    assert sorted(ids) == ["i0", "i1", "i2", "i3", "t0", "t1", "t2"]
    assert sum(part.rows for part in mix.parts) == 7
    for part in (output / "jsonl").iterdir():
        assert dataset.json_lines(part)[0]["images"] == [FILE]


def member(path: str, order: int = 0, batch: int = 0) -> Member:
    return Member(path, f"{order}.zip", order, 0, 9, 9, 9, Packing.STORED, 0, batch=batch)


def source(path: Path, order: int = 0) -> Source:
    found = inputs.identify(str(path))
    return Source(found.uri, order, found.size, found.version)


def test_members_come_by_path(settings: Settings, tmp_path: Path) -> None:
    zipped = write_zip(tmp_path / "f.zip", {"a/1.jpg": b"one", "a/": b"", "b.png": b"two!"})
    folder = write_files(tmp_path / "folder", {"a/1.jpg": b"other"})
    found = collect([source(zipped, 0), source(folder, 1)], ListMembers(settings))
    members = [(path, fact.member) for path, fact in found]
    assert sorted((path, one.path, one.order, one.size) for path, one in members) == [
        ("a/1.jpg", "a/1.jpg", 0, 3),
        ("a/1.jpg", "a/1.jpg", 1, 5),
        ("b.png", "b.png", 0, 4),
    ]


def test_the_first_source_wins_and_nobody_else_is_asked(settings: Settings) -> None:
    first, second = member("both.jpg", 0), member("both.jpg", 1)
    c1, c2 = PathFact(chunk="c1"), PathFact(chunk="c2")
    held = [PathFact(member=one) for one in (second, first)]
    inputs = [
        ("both.jpg", [c2, *held, c1]),
        ("gone.jpg", [c1]),
        ("unused.jpg", [PathFact(member=member("unused.jpg"))]),
    ]
    wanted = Wanted("both.jpg", first, ("c1", "c2"))
    assert collect(inputs, Match(settings)) == [(batch_of("both.jpg", first), wanted)]
    assert collect(inputs, Missing(settings)) == [Wanted("gone.jpg", None, ("c1",))]


class Missing(beam.PTransform):  # type: ignore[misc]
    """The images that no source has."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._step = Match(settings)

    def expand(self, inputs: Any) -> Any:
        return (inputs | beam.ParDo(self._step).with_outputs(MISSING, main="found"))[MISSING]


def test_images_of_a_stretch_share_a_batch(settings: Settings) -> None:
    members = [member("a", 0, 0), member("b", 0, 0), member("far", 0, 7), member("other", 1, 0)]
    asked = PathFact(chunk="c")
    inputs = [(one.path, [asked, PathFact(member=one)]) for one in members]
    batch = {wanted.path: key for key, wanted in collect(inputs, Match(settings))}
    assert batch["a"] == batch["b"]
    assert len(set(batch.values())) == 3


def test_an_image_is_written_once_and_told_to_every_chunk(
    settings: Settings, tmp_path: Path
) -> None:
    data = picture()
    zipped = write_zip(tmp_path / "f.zip", {"good.jpg": data, "bad.jpg": b"none"})
    found = collect([source(zipped)], ListMembers(settings))
    members = {path: fact.member for path, fact in found}
    wanted = [
        Wanted("good.jpg", members["good.jpg"], ("c1", "c2")),
        Wanted("bad.jpg", members["bad.jpg"], ("c2",)),
        Wanted("gone.jpg", None, ("c3",)),
    ]
    facts = collect([("0 0 f.zip", wanted)], ConvertImages(settings, [source(zipped)]))
    outcomes = [(name, outcome) for name, fact in facts for outcome in fact.outcomes]
    assert sorted(
        (name, one.path, one.fault and one.fault.reason.value) for name, one in outcomes
    ) == [
        ("c1", "good.jpg", None),
        ("c2", "bad.jpg", "image_undecodable"),
        ("c2", "good.jpg", None),
        ("c3", "gone.jpg", "image_missing"),
    ]
    (file,) = (Path(settings.output) / "images").iterdir()
    assert file.read_bytes() == data
    good = {one.file for _, one in outcomes if one.fault is None}
    assert good == {f"images/{file.name}"}, "records name the file"
    (table,) = {fact.table for _, fact in facts}
    ((rows, _),) = images.read_rows(settings.output, [table])
    assert rows["path"].to_pylist() == ["bad.jpg", "gone.jpg", "good.jpg"]


def test_an_image_that_was_converted_is_not_converted_again(
    settings: Settings, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(settings, resume=True)
    zipped = source(write_zip(tmp_path / "f.zip", {"a.jpg": picture()}))
    ((_, fact),) = collect([zipped], ListMembers(settings))
    wanted = [("0 0 f.zip", [Wanted("a.jpg", fact.member, ("c",))])]
    first = collect(wanted, ConvertImages(settings, [zipped]))
    (file,) = (Path(settings.output) / "images").iterdir()
    written = file.stat().st_mtime_ns
    assert collect(wanted, ConvertImages(settings, [zipped])) == first
    assert file.stat().st_mtime_ns == written
