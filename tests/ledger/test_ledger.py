"""The log is written, and the folders follow it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import msgspec
import pytest

from beam_mat import earlier, manifest, publish, report
from beam_mat.core.errors import ConfigError
from beam_mat.core.notes import Source
from beam_mat.core.settings import Settings
from beam_mat.ledger import Ledger, adopt
from beam_mat.storage import generations, inputs
from tests import dataset
from tests.command import convert_words, converted, run
from tests.making import image_record, picture, record, write_shard, write_zip


class Killed(Exception):
    """In the place of a kill."""


def die(*_: object) -> None:
    raise Killed


class Watched:
    """A dataset of two shards that a watch has taken over, which is killed as it drops the first.

    Attributes:
        words: The conversion that made it.
        settings: The watch's.
    """

    def __init__(self, folder: Path) -> None:
        shards = [
            write_shard(folder / f"{name}.json", [image_record(name, f"{name}.jpg")])
            for name in "ab"
        ]
        images = write_zip(folder / "i.zip", {f"{name}.jpg": picture() for name in "ab"})
        self.output = folder / "out"
        self.words = convert_words(shards, images, self.output)
        converted(shards, images, self.output)
        self.fresh = dataset.tree(self.output)
        found = earlier.look(str(self.output))
        assert found.begun
        assert found.manifest
        before = earlier.read_job(found.begun).settings
        self.settings: Settings = msgspec.structs.replace(before, generation="watch", watched=True)
        ledger = Ledger(self.settings)
        publish.begin_watch(ledger.job())
        adopt(ledger, found.manifest, lambda _: 0, lambda _: 0)

    def drop(self) -> None:
        """Commits that the first shard is no more."""
        ledger = Ledger(self.settings)
        first = min(ledger.contents.shards)
        ledger.write([], [], {}, [first])

    def missing(self) -> list[str]:
        """What the manifest lists and is not there."""
        parts = dataset.manifest(self.output)["parts"]
        return [part["path"] for part in parts if not (self.output / part["path"]).exists()]

    def parts(self) -> list[str]:
        """Data files in the folders that readers read."""
        return sorted(file.name for file in self.output.glob("jsonl/*"))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.mark.parametrize(
    ("owner", "name", "told"),
    [
        pytest.param(publish, "follow", 1, id="before the manifest"),
        pytest.param(generations, "retire", 2, id="after the manifest"),
    ],
)
def test_what_a_kill_left_undone_is_done_by_the_next(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, told: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, die)
        with pytest.raises(Killed):
            watched.drop()
    assert dataset.manifest(watched.output)["generation"] == told
    assert watched.missing() == []
    assert len(watched.parts()) == 2
    Ledger(watched.settings).settle(told)
    assert dataset.manifest(watched.output)["generation"] == 2
    assert watched.missing() == []
    assert len(watched.parts()) == 1
    (aside,) = (watched.output / "replaced" / "jsonl").iterdir()
    assert aside.name not in watched.parts(), "a training on the first generation reads it there"


@pytest.mark.parametrize(("owner", "name"), [(publish, "follow"), (generations, "retire")])
def test_a_conversion_makes_good_what_a_killed_watch_left_undone(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, die)
        with pytest.raises(Killed):
            watched.drop()
    ran = run(*watched.words)
    assert ran.code == 0, ran.err
    assert not ran.out.startswith("Nothing to do")
    found = dataset.tree(watched.output)
    for path in watched.fresh.keys() - {"manifest.json", "report.html"}:
        assert found[path] == watched.fresh[path], path
    assert len(watched.parts()) == 2
    assert run(*watched.words).out.startswith("Nothing to do")


def test_a_conversion_takes_in_what_a_killed_watch_had_only_listed(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.json", [image_record("a", "a.jpg")])
    zips = [write_zip(tmp_path / "1.zip", {})]
    output = converted(shard, zips, tmp_path / "out")
    found = earlier.look(str(output))
    assert found.begun
    assert found.manifest
    before = earlier.read_job(found.begun).settings
    ledger = Ledger(msgspec.structs.replace(before, generation="watch", watched=True))
    publish.begin_watch(ledger.job())
    adopt(ledger, found.manifest, lambda _: 0, lambda _: 0)
    zips.append(write_zip(tmp_path / "2.zip", {"a.jpg": picture()}))
    came = inputs.look(str(zips[1]))
    ledger.commit([], [Source(came.uri, 1, came.size, came.version)])
    assert len(dataset.manifest(output)["inputs"]["images"]) == 2
    assert dataset.rows(output) == []
    converted(shard, zips, output)
    assert [row["id"] for row in dataset.rows(output)] == ["a"]


@pytest.mark.parametrize("notes_lost", [False, True])
def test_what_a_killed_watch_was_about_to_commit_does_not_stay(
    watched: Watched, notes_lost: bool
) -> None:
    stray = watched.output / "jsonl" / "train-c-0123456789-00000000000003-01234567.jsonl"
    stray.write_text(json.dumps({"id": "c"}) + "\n")
    if notes_lost:
        shutil.rmtree(watched.output / "_beam_mat")
    assert run(*watched.words).code == 0
    assert not stray.exists()


def test_a_conversion_keeps_what_older_generations_use(watched: Watched) -> None:
    before = dataset.tree(watched.output)
    ran = run(*[word for word in watched.words if not word.endswith("a.json")])
    assert ran.code == 0, ran.err
    (part,) = (path for path in before if path.startswith("jsonl/train-a-"))
    assert dataset.tree(watched.output)[f"replaced/{part}"] == before[part]
    assert (watched.output / "images" / "a.jpg").exists()


def test_a_conversion_that_is_killed_as_it_publishes_takes_nothing_from_the_log(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dataset.tree(watched.output)
    with monkeypatch.context() as patched:
        patched.setattr(report, "write", die)
        ran = run(*[word for word in watched.words if not word.endswith("a.json")])
    assert ran.code == 1
    assert len(watched.parts()) == 1
    Ledger(watched.settings).settle(0)
    found = dataset.tree(watched.output)
    for path in before:
        if path.startswith(("jsonl/", "parquet/", "images/", "images.parquet", "manifest")):
            assert found[path] == before[path], path


def test_a_file_of_the_dataset_that_is_nowhere_is_named(watched: Watched) -> None:
    name = watched.parts()[0]
    (watched.output / "jsonl" / name).unlink()
    with pytest.raises(ConfigError, match=re.escape(name)):
        Ledger(watched.settings).settle(1)


def test_a_dataset_without_notes_is_taken_over_after_what_the_error_says(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.json", [image_record("a", "a.jpg")])
    images = write_zip(tmp_path / "a.zip", {"a.jpg": picture()})
    output = converted(shard, images, tmp_path / "out")
    begun = earlier.look(str(output)).begun
    assert begun
    shutil.rmtree(output / "_beam_mat")

    def take_over() -> None:
        found = manifest.read(str(output))
        assert found
        adopt(Ledger(earlier.read_job(begun).settings), found, lambda _: 0, lambda _: 0)

    with pytest.raises(ConfigError, match="anew with beam-mat convert --overwrite"):
        take_over()
    converted(shard, images, output, "--overwrite")
    take_over()
    assert dataset.manifest(output)["generation"] == 1


def test_a_log_that_ends_too_early_is_no_reason_to_clear_the_folders(watched: Watched) -> None:
    watched.drop()
    before = dataset.tree(watched.output)
    (watched.output / "generations" / "000002.json").unlink()
    with pytest.raises(ConfigError, match="ends with generation 1, and"):
        Ledger(watched.settings).settle(2)
    del before["generations/000002.json"]
    assert dataset.tree(watched.output) == before


def test_a_part_that_was_mixed_and_is_written_again_is_put_aside(tmp_path: Path) -> None:
    shards = [
        write_shard(tmp_path / "a.json", [image_record("a", "a.jpg"), image_record("b", "a.jpg")]),
        write_shard(tmp_path / "t.json", [record("t")]),
    ]
    images = write_zip(tmp_path / "a.zip", {"a.jpg": picture()})
    output = converted(shards, images, tmp_path / "out")
    found = earlier.look(str(output))
    assert found.begun
    assert found.manifest
    ledger = Ledger(earlier.read_job(found.begun).settings)
    adopt(ledger, found.manifest, lambda _: 0, lambda _: 0)
    mixed = [path for path in ledger.known() - ledger.listed() if path.startswith("jsonl/")]
    (base,) = mixed
    # As a shard that is worked on again to no other end leaves it.
    (output / base).write_text("{}\n")
    entry = next(one for one in ledger.contents.shards.values() if one.uri.endswith("a.json"))
    assert ledger.commit([entry.shard()], []) is None
    assert not (output / base).exists()
    assert (output / "replaced" / base).exists()
    told = manifest.read(str(output))
    assert told
    assert told.generation == 1
