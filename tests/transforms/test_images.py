"""Paths meet sources: the first that has an image wins, and each image is worked on once."""

from __future__ import annotations

from pathlib import Path

import msgspec

from beam_mat.core.member import Member, Packing
from beam_mat.core.results import PathFact, Source, Wanted
from beam_mat.core.settings import Settings
from beam_mat.storage import inputs
from beam_mat.transforms.images import ConvertImages, ListMembers, Match
from beam_mat.work import image_results
from tests.making import picture, write_files, write_zip
from tests.transforms.collect import collect


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
    assert {wanted for _, wanted in collect(inputs, Match(settings))} == {
        Wanted("both.jpg", first, ("c1", "c2")),
        Wanted("gone.jpg", None, ("c1",)),
    }


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
    ((rows, _),) = image_results.read(settings.output, [table])
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
