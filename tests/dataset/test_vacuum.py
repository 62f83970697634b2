"""Vacuum: what no kept generation needs goes, and all else stays."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_mat.core import layout
from beam_mat.core.results import Part
from beam_mat.dataset import image_table, log, vacuum
from beam_mat.dataset.commit import CONVERT, WATCH, Snapshot
from beam_mat.dataset.flat import RowImages, read_rows
from beam_mat.storage import files
from beam_mat.storage.parts import schema_of
from tests.dataset.made import commit, content, how, images, line, part, put, shard, table_of, there


def generations(output: str, keep: int | None = None, command: str = CONVERT) -> None:
    """Four generations: a picture changes, a shard changes, and rejects come and go."""
    p, q = "p.png", "q.png"
    made: list[tuple[str, dict[str, str | None]]] = [
        ("1", {p: "images/p.1.png", q: "images/q.1.png"}),
        ("2", {p: "images/p.2.png", q: "images/q.1.png"}),
        ("2", {p: "images/p.2.png", q: "images/q.2.png", "r.png": None}),
        ("3", {p: "images/p.3.png", q: "images/q.2.png"}),
    ]
    for number, (version, pictures) in enumerate(made, 1):
        shards = [shard("a", version, rejected=1), shard("b"), shard(f"c{number}", rejected=1)]
        commit(output, content(shards, [images(output, pictures)]), command=command, keep=keep)


def missing_files(output: str, found: Snapshot) -> set[str]:
    """Files that a generation names and that are nowhere."""
    held = there(output)
    gone = {path for path in found.files() if not {path, f"{layout.REPLACED}/{path}"} & held}
    gone |= {table.path for table in found.images} - held
    if not gone:
        gone |= image_table.files_of(output, [part.path for part in found.images]) - held
    return gone


def check_kept(output: str, numbers: Iterable[int]) -> None:
    """Every kept generation folds, and all its files are there."""
    for number in numbers:
        assert missing_files(output, log.snapshot(output, number)) == set(), number
    assert {path.split("/")[1] for path in there(output, layout.IMAGES)} == {
        path.split("/")[1]
        for number in numbers
        for path in image_table.files_of(
            output, [part.path for part in log.snapshot(output, number).images]
        )
    }


@pytest.mark.parametrize(
    ("keep", "kept"),
    [(1, [4]), (2, [3, 4]), (3, [2, 3, 4]), (9, [1, 2, 3, 4]), (None, [1, 2, 3, 4])],
)
def test_kept_generations_stay_whole(root: str, keep: int | None, kept: list[int]) -> None:
    generations(root)
    before = there(root)
    contents = {number: log.snapshot(root, number) for number in kept}
    garbage = vacuum.run(root, keep)
    assert {one.path for one in garbage} == before - there(root)
    for number, wanted in contents.items():
        assert log.snapshot(root, number) == wanted
    check_kept(root, kept)
    for number in {1, 2, 3, 4} - set(kept):
        with pytest.raises(Exception, match=f"@{number}: this generation does not exist"):
            log.snapshot(root, number)


def test_what_goes_with_an_old_generation(root: str) -> None:
    generations(root)
    gone = {one.path: one.bytes for one in vacuum.run(root, 2)}
    tables = {path for path in gone if path.endswith(".images.parquet")}
    assert len(tables) == 2
    assert gone.keys() - tables == {
        "generations/000001.json",
        "generations/000002.json",
        "images/p.1.png",
        "images/q.1.png",
        "replaced/jsonl/train-a-1-0.jsonl",
        "replaced/jsonl/train-c1-1-0.jsonl",
        "replaced/jsonl/train-c2-1-0.jsonl",
        "replaced/rejects/a-1-0.jsonl",
        "replaced/rejects/c1-1-0.jsonl",
        "replaced/rejects/c2-1-0.jsonl",
    }
    assert all(gone.values())
    assert "generations/000003.checkpoint.json" in there(root)


@pytest.mark.parametrize("keep", [1, 2, None])
def test_a_second_vacuum_finds_nothing(root: str, keep: int | None) -> None:
    generations(root)
    vacuum.run(root, keep)
    before = there(root)
    assert vacuum.run(root, keep) == []
    assert there(root) == before


def test_finding_removes_nothing(root: str) -> None:
    generations(root)
    before = there(root)
    stay = vacuum.kept(root, 1)
    assert [one.number for one in stay] == [4]
    assert vacuum.find(root, stay)
    assert there(root) == before


def test_a_vacuum_that_was_killed_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path)
    generations(output)
    remove = files.remove_file
    removed: list[str] = []

    def die(uri: str) -> None:
        if len(removed) == 1:
            raise KeyboardInterrupt
        removed.append(uri)
        remove(uri)

    with monkeypatch.context() as patched:
        patched.setattr(files, "remove_file", die)
        with pytest.raises(KeyboardInterrupt):
            vacuum.run(output, 2)
    assert removed == [files.join(output, "generations/000002.json")], (
        "the log goes first, newest first"
    )
    check = [3, 4]
    for number in check:
        assert missing_files(output, log.snapshot(output, number)) == set()
    vacuum.run(output, 2)
    check_kept(output, check)
    assert vacuum.run(output, 2) == []


def test_empty_folders_go(tmp_path: Path) -> None:
    output = str(tmp_path)
    commit(output, content([shard("a")], [images(output, {"x/y/p.png": "images/x/y/p.1.png"})]))
    commit(output, content([shard("b")], [images(output, {"p.png": "images/p.1.png"})]))
    vacuum.run(output, 1)
    assert not (tmp_path / "images" / "x").exists()
    assert not (tmp_path / "replaced").exists()


def test_strangers_in_the_folders_of_the_dataset_go(root: str) -> None:
    generations(root)
    strangers = {
        put(root, path)
        for path in (
            "jsonl/train-x.jsonl",
            "parquet_val/x.parquet",
            "rejects/x.jsonl",
            "replaced/jsonl/x.jsonl",
            "images/x.png",
            "generations/0123.images.parquet",
        )
    }
    assert {one.path for one in vacuum.run(root, None)} == strangers


def test_files_elsewhere_stay(root: str) -> None:
    generations(root)
    held = {
        put(root, path)
        for path in ("manifest.json", "notes.txt", "mine/a.txt", layout.PENDING, layout.VERIFIED)
    }
    vacuum.run(root, 1)
    assert held <= there(root)


def test_a_file_of_a_kept_generation_stays_in_the_flat_folders_too(root: str) -> None:
    """A watch that was killed before it moved the file."""
    generations(root)
    files.move(
        files.join(root, "replaced/jsonl/train-c3-1-0.jsonl"),
        files.join(root, "jsonl/train-c3-1-0.jsonl"),
    )
    vacuum.run(root, 2)
    check_kept(root, [3, 4])


def parquet_part(images: Iterable[str]) -> bytes:
    out = io.BytesIO()
    row = {"images": [{"bytes": b"", "path": path} for path in images]}
    with pq.ParquetWriter(out, schema_of("")) as writer:
        writer.write_table(pa.Table.from_pylist([row], schema_of("")))
    return out.getvalue()


@pytest.mark.parametrize("formats", [("jsonl",), ("parquet",), ("jsonl", "parquet")])
def test_a_picture_that_only_an_old_row_has_stays(root: str, formats: tuple[str, ...]) -> None:
    """In a watched dataset a row keeps its picture until its shard is converted again."""
    data: list[Part] = []
    rows: dict[str, bytes] = {}
    for format in formats:
        path = f"{format}/train-a-1-0.{format}"
        data.append(part(path, format=format))
        rows[path] = (line if format == "jsonl" else parquet_part)(["images/p.1.png"])
    old = shard("a", parts=tuple(data))
    first = images(root, {"p.png": "images/p.1.png", "q.png": "images/q.1.png"})
    commit(root, content([old], [first]), command=WATCH, rows=rows)
    second = images(root, {"p.png": "images/p.2.png", "q.png": "images/q.2.png"})
    new = shard("b", parts=tuple(_again(data)))
    rows = {one.path: _empty(one) for one in new.parts}
    commit(root, content([old, new], [first, second]), command=WATCH, rows=rows)
    gone = {one.path for one in vacuum.run(root, 1)}
    assert gone == {"generations/000001.json", "images/q.1.png"}
    assert "images/p.1.png" in there(root), "the row of shard a names it"
    assert vacuum.run(root, 1) == []


def _again(data: Iterable[Part]) -> list[Part]:
    return [part(one.path.replace("-a-", "-b-"), format=one.format) for one in data]


def _empty(one: Part) -> bytes:
    return line() if one.format == "jsonl" else parquet_part([])


def test_rows_that_were_moved_are_read_too(root: str) -> None:
    old = shard("a")
    (data,) = old.parts
    first = images(root, {"p.png": "images/p.1.png"})
    second = images(root, {"p.png": "images/p.2.png"})
    commit(root, content([old], [first]), command=WATCH, rows={data.path: line(["images/p.1.png"])})
    commit(root, content([old], [first, second]), command=WATCH)
    commit(root, content([shard("a", "2")], [first, second]), command=WATCH)
    assert f"replaced/{data.path}" in there(root)
    vacuum.run(root, 2)
    assert "images/p.1.png" in there(root)
    vacuum.run(root, 1)
    assert "images/p.1.png" not in there(root)
    assert "images/p.2.png" in there(root)


def test_the_rows_of_a_conversion_have_the_pictures_of_its_table(root: str) -> None:
    first = images(root, {"p.png": "images/p.1.png"})
    commit(root, content([shard("a")], [first]), command=WATCH)
    second = images(root, {"p.png": "images/p.2.png"})
    commit(root, content([shard("a", "2")], [second]))
    assert "images/p.1.png" in {one.path for one in vacuum.run(root, 1)}


def test_a_watch_keeps_the_parts_that_it_may_mix_again(root: str) -> None:
    shards = [shard("a", images=2), shard("t", images=0, texts=3)]
    (base,) = shards[0].parts
    commit(root, content(shards), command=WATCH)
    moved = put(root, f"replaced/{base.path}")
    assert vacuum.run(root, 1) == []
    assert moved in there(root)
    commit(root, content(shards), command=CONVERT)
    assert moved in {one.path for one in vacuum.run(root, 1)}


def test_only_work_results_of_the_newest_generation_stay(root: str) -> None:
    shards = [shard("a", tables=("f/1",)), shard("t", images=0, texts=2), shard("a-b")]
    wanted = content(shards)
    (mix,) = wanted.mixes
    commit(root, wanted, command=WATCH)
    needed = {
        put(root, f"{layout.WORK}/{path}")
        for path in (
            "shards/a-1.json",
            "shards/a-b-1.json",
            "requests/a-1-0.json",
            "chunks/a-1-0-12345678.json",
            "chunks/a-b-1-0-12345678.json",
            "images/f/1.parquet",
            "text-only/jsonl/train-t-1-0.jsonl",
            f"mixes/{mix}.json",
            f"summaries/{WATCH}/a-1.json",
        )
    }
    garbage = {
        put(root, f"{layout.WORK}/{path}")
        for path in (
            "shards/a-2.json",
            "requests/a-2-0.json",
            "chunks/a-10-0-12345678.json",
            "images/f/2.parquet",
            "images/g/1.parquet",
            "text-only/jsonl/train-t-2-0.jsonl",
            "mixes/other.json",
            f"summaries/{CONVERT}/a-1.json",
        )
    }
    assert {one.path for one in vacuum.run(root, None)} == garbage
    assert needed <= there(root)


def test_summaries_of_a_watch_are_not_read_again(root: str) -> None:
    commit(root, content([shard("a")]), command=WATCH)
    superseded = put(root, f"{layout.SUMMARIES}/{WATCH}/a-1-0123456789abcdef.json")
    assert {one.path for one in vacuum.run(root, None)} == {superseded}


def test_beside_work_only_files_that_commits_name_are_removed(root: str) -> None:
    generations(root, command=WATCH)
    before = there(root)
    work = {
        put(root, path)
        for path in (
            "jsonl/train-new.jsonl",
            "rejects/new.jsonl",
            "images/new.png",
            f"{layout.SPLITS}/new.json",
            f"{layout.SUMMARIES}/{WATCH}/new.json",
            f"{layout.IMAGE_RESULTS}/f/new.parquet",
        )
    }
    vacuum.run_beside_work(root, 2)
    after = there(root)
    assert work <= after
    pictures = {path for path in before if path.startswith("images/")}
    assert pictures <= after, "one may change back"
    vacuum.run(root, 2)
    assert after - there(root) - work == {"images/p.1.png", "images/q.1.png"}, "the rest"
    assert len(before & after) < len(before)
    check_kept(root, [3, 4])


def test_only_given_images_are_looked_at(root: str) -> None:
    generations(root)
    stranger = put(root, "images/x.png")
    stay = vacuum.kept(root, 1)
    found = vacuum.find(root, stay, ["images/p.2.png", "images/q.2.png"])
    paths = {one.path for one in found if one.path.startswith("images/")}
    assert paths == {"images/p.2.png"}
    vacuum.remove(root, stay, found)
    assert stranger in there(root)
    check = {"images/p.3.png", "images/q.2.png"}
    assert check <= there(root)


@pytest.mark.parametrize("keep", [2, 3, None])
def test_generations_that_cannot_be_read_are_left_out(root: str, keep: int | None) -> None:
    """The log was started anew after a commit was lost."""
    generations(root)
    files.remove_file(files.join(root, "generations/000002.json"))
    table = images(root, {"p.png": "images/p.4.png"})
    made = Snapshot(number=4).next(how(), content([shard("d")], [table]))
    for one in made.parts.added:
        put(root, one.path)
    assert log.write(root, made)
    numbers = [one.number for one in vacuum.kept(root, keep)]
    assert numbers == ([1, 5] if keep is None else [5])
    vacuum.run(root, keep)
    assert missing_files(root, log.snapshot(root, 5)) == set()
    assert vacuum.run(root, keep) == []


def test_images_of_a_part_that_is_nowhere_are_an_error(tmp_path: Path) -> None:
    (data,) = shard("a").parts
    with pytest.raises(FileNotFoundError):
        list(read_rows(str(tmp_path), data, RowImages))


def test_tables_without_usable_images_need_no_files(root: str) -> None:
    table = image_table.write_rows(root, table_of({"p.png": None}))
    commit(root, content([shard("a")], [table]))
    assert vacuum.needed_images(root, [log.snapshot(root)]) == set()
    assert vacuum.run(root, 1) == []
