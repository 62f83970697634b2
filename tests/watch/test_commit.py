"""Windows of a watch become generations, and the folder follows, whenever a run is killed."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import OutputError
from beam_mat.core.results import Source
from beam_mat.core.settings import Settings
from beam_mat.dataset import dataset as datasets
from beam_mat.dataset import flat, image_table, log, views
from beam_mat.dataset.commit import WATCH, Commit
from beam_mat.dataset.dataset import Dataset
from beam_mat.dataset.state import Command, State
from beam_mat.storage import files
from beam_mat.watch import commit as commits
from beam_mat.watch.commit import ROUNDS, Committer
from beam_mat.work import chunks, results
from tests import outputs as dataset
from tests.dataset.made import there
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.work.plain import finish, job_of, make, shard_at, source_at


class Killed(BaseException):
    """Stands for a kill."""


def die(*_: object) -> None:
    raise Killed


class Watch:
    """A watch without an engine.

    Attributes:
        folder: Where shards and zips arrive.
        output: The output folder.
        settings: The watch's.
        committer: Of this run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "out"
        self.settings = Settings(
            str(self.output), formats=("jsonl",), fingerprint="watch", resume=True
        )
        self.committer = Committer(self.settings, None)

    def restart(self, keep: int | None = None) -> State:
        """Another run: opens the dataset as ``beam-mat watch`` does; returns the state it found."""
        with Dataset.open(str(self.output), Command.WATCH, pytest.fail) as opened:
            state: State = opened.state
        self.committer = Committer(self.settings, keep)
        return state

    def shard(self, name: str, *records: object) -> Shard:
        return shard_at(write_shard(self.folder / f"{name}.json", records))

    def zip(self, name: str, pictures: Mapping[str, bytes]) -> Source:
        return source_at(write_zip(self.folder / f"{name}.zip", pictures))

    def work(self, shard: Shard, *zips: Source) -> str:
        """Does what the graph does to a shard; returns the name of the summary."""
        return finish(self.settings, shard, zips)

    def take(self, shard: Shard, *zips: Source) -> Commit | None:
        """Works on a shard and commits it with its zips."""
        return self.committer.commit([self.work(shard, *zips)], zips)

    def ids(self) -> list[str]:
        """Ids of the rows that a reader of the folders sees."""
        return sorted(row["id"] for row in dataset.rows(self.output))

    def check(self) -> None:
        """The folder shows just the newest generation, and images.parquet its images."""
        newest = log.snapshot(str(self.output))
        shown = views.read_manifest(str(self.output))
        assert shown
        assert shown.generation == newest.number
        assert there(str(self.output), *layout.FLAT_FOLDERS) == newest.files()
        table = image_table.read(str(self.output), newest.images)
        assert list(dataset.image_table(self.output).values()) == table.to_pylist()
        for row in dataset.rows(self.output):
            assert all((self.output / path).exists() for path in row["images"])


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def pictures(*names: str, seed: int = 0) -> dict[str, bytes]:
    return {f"{name}.jpg": picture(seed=seed) for name in names}


def test_windows_become_generations(watch: Watch) -> None:
    zipped = watch.zip("i", pictures("a", "b"))
    first = watch.take(watch.shard("a", image_record("a", "a.jpg")), zipped)
    assert first is not None
    assert (first.generation, first.previous, first.command) == (1, 0, WATCH)
    watch.check()
    second = watch.take(watch.shard("b", image_record("b", "b.jpg"), 5), zipped)
    assert second is not None
    assert (second.generation, second.previous, second.lineage) == (2, 1, first.lineage)
    assert [one.uri for one in second.sources.added] == []
    watch.check()
    assert watch.ids() == ["a", "b"]
    assert second.counts["records"] == 3
    assert second.counts["rejected_by_reason"] == {"not_an_object": 1}
    assert second.counts["images"] == {"kept": 2}


def test_nothing_changes_behind_a_link(tmp_path: Path) -> None:
    def begin(folder: Path) -> Watch:
        watch = Watch(folder)
        zipped = watch.zip("i", {"deep/a.jpg": picture(), "deep/b.jpg": picture()})
        watch.take(watch.shard("a", image_record("a", "deep/a.jpg"), 5), zipped)
        watch.take(watch.shard("a", image_record("b", "deep/b.jpg"), 6), zipped)
        return watch

    first = begin(tmp_path / "first").output
    names = [str(path.relative_to(first)) for path in sorted(first.rglob("*")) if path.is_dir()]
    refused = set()
    for number, name in enumerate([*names, "_beam_mat/scratch", "replaced/rejects"]):
        watch = begin(tmp_path / str(number))
        foreign, link = watch.folder / "foreign", watch.output / name
        if link.exists():
            shutil.move(link, foreign)
        foreign.mkdir(exist_ok=True)
        (foreign / "deep").mkdir(exist_ok=True)
        (foreign / "deep" / "mine.jpg").write_bytes(b"mine")
        before = {path: path.is_file() and path.read_bytes() for path in foreign.rglob("*")}
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(foreign)
        with contextlib.suppress(OutputError):
            refused.add(name)
            watch.restart(keep=1)
            zipped = watch.zip("i", {"deep/a.jpg": picture(seed=2)})
            watch.take(watch.shard("a", image_record("c", "deep/a.jpg"), 7), zipped)
            refused.remove(name)
        after = {path: path.is_file() and path.read_bytes() for path in foreign.rglob("*")}
        assert after == before, name
    assert {name for name in names if "/" not in name} < refused


def test_zips_alone_make_no_dataset(watch: Watch) -> None:
    zipped = watch.zip("i", pictures("a"))
    assert watch.committer.commit([], [zipped]) is None
    made = watch.take(watch.shard("t", record("t")))
    assert made is not None
    assert [one.uri for one in made.sources.added] == [zipped.uri], "it is not forgotten"
    other = watch.zip("j", pictures("b"))
    made = watch.committer.commit([], [other])
    assert made is not None
    assert [one.uri for one in made.sources.added] == [other.uri]
    assert watch.committer.commit([], [other]) is None


def test_what_is_no_shard_is_not_waited_for(watch: Watch) -> None:
    shard = watch.shard("a", record("a"))
    assert watch.committer.commit([], [], [shard]) is None
    assert watch.committer.unchanged[shard.uri][:2] == shard.content
    (watch.folder / "a.json").unlink()
    other = Shard(shard.uri, 0, 99, "9")
    watch.committer.commit([], [], [other])
    assert watch.committer.unchanged[shard.uri][:2] == shard.content, "it has changed"


def test_the_copy_of_a_compressed_shard_is_removed_when_it_is_committed(watch: Watch) -> None:
    path = watch.folder / "a.json"
    path.write_bytes(gzip.compress(json.dumps([record("a"), record("b")]).encode()))
    shard = shard_at(path)
    name = watch.work(shard)
    copy = Path(chunks.copy_of(str(watch.output), shard))
    assert json.loads(copy.read_bytes())[0]["id"] == "a"
    made = watch.committer.commit([name], [])
    assert made
    assert [one.compression for one in made.shards.added] == ["gzip"]
    assert not copy.exists()
    assert watch.ids() == ["a", "b"]


def test_the_same_result_is_committed_once(watch: Watch) -> None:
    shard = watch.shard("a", record("a"))
    assert watch.take(shard) is not None
    assert watch.committer.unchanged == {}
    assert watch.take(shard) is None
    size, version, first = watch.committer.unchanged[shard.uri]
    assert (size, version) == (shard.size, shard.version)
    assert watch.take(shard) is None
    assert watch.committer.unchanged[shard.uri][2] != first, "told each time"
    assert log.numbers(str(watch.output)).commits == (1,)


def test_the_next_version_of_a_shard_takes_its_place(watch: Watch) -> None:
    watch.take(watch.shard("a", record("old")))
    (before,) = log.snapshot(str(watch.output)).files()
    watch.take(watch.shard("a", record("new"), record("more")))
    watch.check()
    assert watch.ids() == ["more", "new"]
    assert f"{layout.REPLACED}/{before}" in there(str(watch.output))
    assert log.snapshot(str(watch.output), 1).files() == {before}


def test_a_shard_that_changed_on_the_way_is_not_committed(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    zipped = watch.zip("i", pictures("a"))
    finished = watch.work(watch.shard("a", image_record("old", "a.jpg"), 5), zipped)
    assert len(there(str(watch.output), "jsonl", "rejects")) == 2
    watch.shard("a", record("new"), record("more"))
    assert watch.committer.commit([finished], []) is None
    assert "no record of that version is committed" in caplog.text
    assert there(str(watch.output), "jsonl", "rejects") == set()


def test_files_of_a_shard_that_is_gone_are_removed_for_some_rounds(watch: Watch) -> None:
    zipped = watch.zip("i", pictures("a"))
    shard = watch.shard("a", image_record("a", "a.jpg"))
    watch.take(watch.shard("b", record("b")))
    for at in range(ROUNDS + 1):
        watch.work(shard, zipped)  # what comes late
        assert watch.ids() == ["a", "b"]
        watch.committer.commit([], [], [shard] if at == 0 else [])
        assert watch.ids() == (["b"] if at < ROUNDS else ["a", "b"])


def test_a_picture_that_changes_has_a_new_file_and_the_old_one_stays(watch: Watch) -> None:
    shard = watch.shard("a", image_record("a", "a.jpg"))
    watch.take(shard, watch.zip("i", pictures("a", seed=1)))
    (first,) = there(str(watch.output), layout.IMAGES)
    data = (watch.output / first).read_bytes()
    made = watch.take(shard, watch.zip("i", pictures("a", seed=2)))
    assert made is not None
    watch.check()
    (row,) = dataset.rows(watch.output)
    assert row["images"] != [first]
    assert there(str(watch.output), layout.IMAGES) == {first, *row["images"]}
    assert (watch.output / first).read_bytes() == data
    before = log.snapshot(str(watch.output), 1)
    assert image_table.files_of(str(watch.output), [part.path for part in before.images]) == {first}


def test_a_picture_may_change_back(watch: Watch) -> None:
    shard = watch.shard("a", image_record("a", "a.jpg"))
    for number, seed in enumerate((1, 2, 1, 2), 1):
        made = watch.take(shard, watch.zip("i", pictures("a", seed=seed)))
        assert made is not None
        assert made.generation == number
        watch.check()
        (row,) = dataset.rows(watch.output)
        assert [dataset.image_table(watch.output)["a.jpg"]["file"]] == row["images"]


def test_an_image_that_comes_later_is_taken(watch: Watch) -> None:
    shard = watch.shard("a", image_record("a", "a.jpg"), record("t"))
    made = watch.take(shard)
    assert made is not None
    assert made.counts["images"] == {"image_missing": 1}
    made = watch.take(shard, watch.zip("i", pictures("a")))
    assert made is not None
    assert made.counts["images"] == {"kept": 1}
    watch.check()
    assert watch.ids() == ["a", "t"]


def test_text_only_rows_are_mixed_as_images_come(watch: Watch) -> None:
    watch.take(watch.shard("t", record("t1"), record("t2")))
    watch.check()
    watch.take(watch.shard("a", image_record("a", "a.jpg")), watch.zip("i", pictures("a")))
    watch.check()
    assert watch.ids() == ["a", "t1", "t2"]
    for file in (watch.output / "jsonl").iterdir():
        assert dataset.json_lines(file)[0]["images"]


def mixed(watch: Watch) -> tuple[Shard, Source, Path]:
    """A dataset with a mix; returns a shard, its zip, and the part that the mix has replaced."""
    zipped = watch.zip("i", pictures("a"))
    shard = watch.shard("a", image_record("a", "a.jpg"), image_record("b", "a.jpg"))
    both = [watch.work(watch.shard("t", record("t"))), watch.work(shard, zipped)]
    watch.committer.commit(both, [zipped])
    watch.check()
    (entry,) = (one for one in watch.committer.snapshot.shards.values() if one.uri == shard.uri)
    (base,) = entry.parts
    return shard, zipped, Path(base.path)


def test_a_part_that_was_mixed_and_is_written_again_is_put_aside(watch: Watch) -> None:
    shard, zipped, base = mixed(watch)
    aside = watch.output / layout.REPLACED / base
    aside.unlink()  # as after a conversion that keeps one generation
    assert watch.take(shard, zipped) is None
    watch.check()
    assert watch.ids() == ["a", "b", "t"], "no row twice"
    assert aside.exists()


def test_two_who_commit_at_once_take_turns(watch: Watch) -> None:
    other = Committer(watch.settings, None)
    watch.take(watch.shard("a", record("a")))
    shard = watch.shard("b", record("b"))
    made = other.commit([watch.work(shard)], [])
    assert made is not None
    assert (made.generation, other.snapshot.number) == (2, 2)
    assert watch.take(shard) is None, "it is committed already"
    watch.check()
    assert watch.ids() == ["a", "b"]


def test_a_commit_that_another_was_first_with_is_tried_again(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.take(watch.shard("a", record("a")))
    other = Committer(watch.settings, None)
    late = watch.work(watch.shard("b", record("b")))
    write = log.write

    def second(output: str, commit: Commit) -> bool:
        monkeypatch.setattr(log, "write", write)
        other.commit([watch.work(watch.shard("c", record("c")))], [])
        return write(output, commit)

    monkeypatch.setattr(log, "write", second)
    made = watch.committer.commit([late], [])
    assert made is not None
    assert made.generation == 3
    watch.check()
    assert watch.ids() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("owner", "name", "state"),
    [
        pytest.param(flat, "restore", State.BEHIND, id="before the manifest"),
        pytest.param(views, "write", State.BEHIND, id="as it writes the views"),
        pytest.param(flat, "retire", State.CURRENT, id="after the manifest"),
    ],
)
def test_what_a_kill_left_undone_is_done_by_the_next(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, state: State
) -> None:
    watch.take(watch.shard("a", record("old")))
    (before,) = log.snapshot(str(watch.output)).files()
    finished = watch.work(watch.shard("a", record("new"), record("more")))
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, die)
        with pytest.raises(Killed):
            watch.committer.commit([finished], [])
    assert log.numbers(str(watch.output)).commits == (1, 2)
    shown = views.read_manifest(str(watch.output))
    assert shown
    assert all((watch.output / part.path).exists() for part in shown.parts)
    assert watch.restart() is state
    watch.check()
    assert watch.ids() == ["more", "new"]
    assert f"{layout.REPLACED}/{before}" in there(str(watch.output))
    assert watch.committer.commit([finished], []) is None, "it is committed once"


def test_what_a_killed_watch_was_about_to_commit_does_not_stay(watch: Watch) -> None:
    watch.take(watch.shard("a", record("a")))
    zipped = watch.zip("i", pictures("b"))
    shard = watch.shard("b", image_record("b", "b.jpg"))
    watch.work(shard, zipped)
    assert watch.ids() == ["a", "b"]
    watch.restart()
    watch.check()
    assert watch.ids() == ["a"]
    assert watch.take(shard, zipped) is not None
    watch.check()
    assert watch.ids() == ["a", "b"]


def shards_of(watch: Watch) -> tuple[list[Path], list[Path]]:
    write_zip(watch.folder / "i.zip", pictures("a", "b"))
    return [
        write_shard(watch.folder / f"{name}.json", [image_record(name, f"{name}.jpg"), record("t")])
        for name in "ab"
    ], [watch.folder / "i.zip"]


def test_a_watch_goes_on_with_a_converted_dataset(watch: Watch) -> None:
    paths, zips = shards_of(watch)
    before = make(job_of(watch.output, paths, zips))
    assert watch.restart() is State.CURRENT
    zipped = source_at(zips[0])
    made = watch.take(watch.shard("c", image_record("c", "b.jpg")), zipped)
    assert made is not None
    assert (made.generation, made.previous, made.lineage) == (2, 1, before.lineage)
    watch.check()
    assert watch.ids() == ["a", "b", "c", "t", "t"]


@pytest.mark.parametrize("step", ["restore", "retire"])
def test_a_conversion_makes_good_what_a_killed_watch_left_undone(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    paths, zips = shards_of(watch)
    job = job_of(watch.output, paths, zips)
    make(job, keep=None)
    fresh = dataset.tree(watch.output)
    watch.restart()
    with monkeypatch.context() as patched:
        patched.setattr(flat, step, die)
        with pytest.raises(Killed):
            watch.take(watch.shard("c", record("c")))
    assert make(job, keep=None).number == 3
    watch.check()
    found = dataset.tree(watch.output)
    for path in fresh.keys() - {layout.MANIFEST}:
        assert found[path] == fresh[path], path
    assert watch.ids() == ["a", "b", "t", "t"]


def test_a_conversion_keeps_what_older_generations_use(watch: Watch) -> None:
    watch.take(watch.shard("c", record("c")))
    paths, zips = shards_of(watch)
    before = log.snapshot(str(watch.output)).files()
    made = make(job_of(watch.output, paths, zips), keep=None)
    assert (made.number, log.numbers(str(watch.output)).commits) == (2, (1, 2))
    watch.check()
    assert {f"{layout.REPLACED}/{path}" for path in before} <= there(str(watch.output))


def test_a_conversion_takes_in_what_a_killed_watch_had_only_listed(watch: Watch) -> None:
    shard = watch.shard("a", image_record("a", "a.jpg"))
    zips = [watch.folder / "1.zip"]
    write_zip(zips[0], {})
    make(job_of(watch.output, [Path(shard.uri)], zips), keep=None)
    assert watch.ids() == []
    watch.restart()
    zips.append(write_zip(watch.folder / "2.zip", pictures("a")))
    assert watch.committer.commit([], [source_at(zips[1], 1)]) is not None
    assert len(dataset.manifest(watch.output)["inputs"]["images"]) == 2
    make(job_of(watch.output, [Path(shard.uri)], zips), keep=None)
    assert watch.ids() == ["a"]
    watch.check()


def test_a_dataset_without_work_results_goes_on(watch: Watch) -> None:
    watch.take(watch.shard("a", image_record("a", "a.jpg")), watch.zip("i", pictures("a")))
    shutil.rmtree(watch.output / layout.WORK)
    assert watch.restart() is State.CURRENT
    watch.take(watch.shard("t", record("t")))
    watch.check()
    assert watch.ids() == ["a", "t"]


def test_checkpoints_and_vacuums_come_now_and_then(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (commits, datasets):
        monkeypatch.setattr(module, "CHECKPOINT_EVERY", 4)
    watch.take(watch.shard("t", record("t")))
    watch.restart(keep=2)
    shard = watch.shard("a", image_record("a", "a.jpg"))
    for seed in range(4):
        watch.take(shard, watch.zip("i", pictures("a", seed=seed)))
        watch.check()
    found = log.numbers(str(watch.output))
    assert (found.commits, found.checkpoints[-1:]) == ((3, 4, 5), (4,))
    commit = log.read(str(watch.output), 4)
    assert commit
    assert len(commit.images.added) == 1
    assert len(log.snapshot(str(watch.output), 4).images) == 1, "one table stands for all"
    assert len(there(str(watch.output), layout.IMAGES)) == 4, "a picture may change back"


def test_a_vacuum_leaves_shards_in_the_graph_alone(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (commits, datasets):
        monkeypatch.setattr(module, "CHECKPOINT_EVERY", 4)
    watch.restart(keep=2)
    shard = watch.shard("a", image_record("a", "a.jpg"))
    for seed in range(3):
        watch.take(shard, watch.zip("i", pictures("a", seed=seed)))
    zipped = watch.zip("j", pictures("b"))
    finished = watch.work(watch.shard("b", image_record("b", "b.jpg"), "a reject"), zipped)
    watch.take(shard, watch.zip("i", pictures("a", seed=3)))
    assert log.numbers(str(watch.output)).commits == (3, 4)
    watch.committer.commit([finished], [zipped])
    watch.check()
    assert watch.ids() == ["a", "b"]


def test_a_summary_that_is_not_there_is_named(watch: Watch) -> None:
    finished = watch.work(watch.shard("a", record("a")))
    files.remove_file(results.place(watch.settings, layout.SUMMARIES, finished))
    with pytest.raises(FileNotFoundError, match="summaries"):
        watch.committer.commit([finished], [])


def test_the_last_of_two_results_of_a_shard_counts(watch: Watch) -> None:
    shard = watch.shard("a", image_record("a", "a.jpg"))
    both = [watch.work(shard), watch.work(shard, watch.zip("i", pictures("a")))]
    made = watch.committer.commit(both, [])
    assert made is not None
    assert made.counts["accepted"] == 1
    watch.check()


def test_of_two_versions_in_a_window_the_last_counts(watch: Watch) -> None:
    zipped = watch.zip("i", pictures("a"))
    first = watch.work(watch.shard("a", image_record("old", "a.jpg")), zipped)
    second = watch.work(watch.shard("a", image_record("new", "a.jpg"), 5), zipped)
    made = watch.committer.commit([first, second], [])
    assert made is not None
    watch.check()
    assert watch.ids() == ["new"], "no row of both"


def test_settings_decide_how_a_generation_is_made(watch: Watch) -> None:
    watch.committer = Committer(msgspec.structs.replace(watch.settings, val_fraction=0.5), 7)
    made = watch.take(watch.shard("a", record("a")))
    assert made
    assert (made.command, made.fingerprint, made.keep) == (WATCH, "watch", 7)
    assert made.configuration["val_fraction"] == 0.5
    assert made.configuration["limit"] is None


@pytest.mark.parametrize("keep", [1, 2, None])
def test_text_only_rows_that_come_after_a_conversion_are_mixed(
    watch: Watch, keep: int | None
) -> None:
    """There is no unit with images that is in no mix yet, so all mixes are made anew."""
    paths, zips = shards_of(watch)
    paths = [paths[0], write_shard(watch.folder / "t.json", [record("t1"), record("t2")])]
    make(job_of(watch.output, paths, zips), keep)
    watch.restart()
    watch.check()
    assert watch.take(watch.shard("u", record("u"))) is not None
    watch.check()
    assert watch.ids() == ["a", "t", "t1", "t2", "u"]


def test_rows_come_out_of_a_mix_whose_inputs_are_gone(watch: Watch) -> None:
    zips = [Path(watch.zip("i", pictures("a", "b")).uri)]
    watch.shard("a", image_record("a", "a.jpg"), image_record("b", "b.jpg"))
    watch.shard("t", record("t"))
    paths = [watch.folder / "a.json", watch.folder / "t.json"]
    make(job_of(watch.output, paths, zips))  # keeps one generation, so only the mix has the rows
    watch.restart(keep=1)
    zipped = watch.zip("j", pictures("c"))
    assert watch.take(watch.shard("t", image_record("c", "c.jpg")), zipped)
    watch.check()
    assert watch.ids() == ["a", "b", "c"]
    assert watch.take(watch.shard("t", record("t")), zipped)
    watch.check()
    assert watch.ids() == ["a", "b", "t"]


def test_old_rows_leave_the_folder_if_one_generation_is_kept(watch: Watch) -> None:
    watch.restart(keep=1)
    zipped = watch.zip("i", pictures("a", "b"))
    watch.take(watch.shard("a", image_record("a", "a.jpg")), zipped)
    watch.take(watch.shard("a", image_record("b", "b.jpg")), zipped)
    watch.check()
    assert watch.ids() == ["b"]
