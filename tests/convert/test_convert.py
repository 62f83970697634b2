"""The graph as a whole: every record in is a row or a reject, and what stands in the rows."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pytest

from beam_mat.core.reject import Reason
from beam_mat.sample import SampleSummary
from tests import outputs as dataset
from tests.command import convert_words, converted, run
from tests.making import Record, image_record, picture, record, write_shard, write_zip

JSONL_ROW = ["messages", "images", "system", "id"]


def as_row(record: Record) -> dict[str, Any]:
    """What a sound record with a system turn and numbered or single images is to become.

    The images have their published paths.
    """
    system, *turns = record["conversations"]
    field = record["image"]
    paths = json.loads(field) if field.startswith("{") else {"<image>": field}
    asked = [turn["content"] for turn in turns if turn["role"] == "user"]
    tokens = [token for text in asked for token in re.findall(r"<image(?:_\d+)?>", text)]
    return {
        "messages": [
            {
                "role": turn["role"],
                "content": re.sub(r"<image(_\d+)?>", "<image>", turn["content"])
                if turn["role"] == "user"
                else turn["content"],
            }
            for turn in turns
        ],
        "images": [paths[token].replace("data/open_llava_next/", "tongagent/") for token in tokens],
        "system": system["content"],
        "id": record["id"],
    }


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: json.dumps([row["id"], row]))


def test_the_real_records_become_the_rows_that_they_mean(mat_sample: Path, tmp_path: Path) -> None:
    shard = mat_sample / "mat_train.json"
    output = converted(shard, mat_sample / "files.zip", tmp_path / "out")
    counts = dataset.manifest(output)["counts"]
    assert counts["records"] == 40 == counts["accepted"] + counts["rejected"]
    rejected = {(reject["source"], reject["index"]) for reject in dataset.rejects(output)}
    sound = [
        as_row(one)
        for index, one in enumerate(json.loads(shard.read_text("utf-8")))
        if (str(shard), index) not in rejected
    ]
    assert len(rejected) == counts["rejected"]
    published = {row["file"]: path for path, row in dataset.image_table(output).items()}
    rows = dataset.rows(output)
    for row in rows:
        row["images"] = [published[file] for file in row["images"]]
    assert by_id(rows) == by_id(sound)


def test_both_formats_hold_the_same_rows_and_the_images_bytes(made_up_output: Path) -> None:
    for split in ("train", "val"):
        text, binary = (
            dataset.rows(made_up_output, split),
            dataset.parquet_rows(made_up_output, split),
        )
        assert [list(row) for row in text] == [JSONL_ROW] * len(text)
        for row in binary:
            for image in row["images"]:
                assert image["bytes"] == (made_up_output / image["path"]).read_bytes()
            row["images"] = [image["path"] for image in row["images"]]
        assert by_id(text) == by_id(binary)
        assert any(row["images"] for row in text)
        assert not all(row["images"] for row in text)


@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_every_fault_is_counted_under_its_reason(
    made_up: SampleSummary, tmp_path: Path, duplicates: str
) -> None:
    output = tmp_path / "out"
    converted(made_up.shards, made_up.image_zip, output, "--duplicates", duplicates)
    expected = dict(made_up.rejected)
    if duplicates == "drop":
        expected[Reason.DUPLICATE_ID] = made_up.duplicates
    counts = dataset.manifest(output)["counts"]
    assert counts["records"] == made_up.records
    assert counts["rejected_by_reason"] == {
        reason.value: count for reason, count in expected.items()
    }
    assert counts["rejected"] == sum(expected.values())
    assert counts["accepted"] == made_up.records - sum(expected.values())
    assert len(dataset.rows(output)) == counts["accepted"]
    assert Counter(one["reason"] for one in dataset.rejects(output)) == {
        reason.value: count for reason, count in expected.items()
    }
    if duplicates == "drop":
        ids = [row["id"] for row in dataset.rows(output)]
        assert len(ids) == len(set(ids))


def test_the_output_holds_exactly_what_the_design_names(made_up_output: Path) -> None:
    assert {path.name for path in made_up_output.iterdir()} == {
        *("manifest.json", "dataset_info.json", "statistics.json", "report.html"),
        *("images", "images.parquet", "rejects", "generations", "_beam_mat"),
        *("jsonl", "jsonl_val", "parquet", "parquet_val"),
    }
    for folder in ("jsonl", "jsonl_val", "parquet", "parquet_val", "rejects"):
        suffix = ".parquet" if folder.startswith("parquet") else ".jsonl"
        split = "val-" if folder.endswith("_val") else "train-"
        for path in (made_up_output / folder).iterdir():
            assert path.is_file()
            assert path.suffix == suffix
            assert folder == "rejects" or path.name.startswith(split)


def test_the_manifest_names_every_file_with_its_hash(made_up_output: Path) -> None:
    files = dataset.tree(made_up_output)
    manifest = dataset.manifest(made_up_output)
    listed = [*manifest["parts"], *manifest["rejects"], manifest["image_table"]]
    for part in listed:
        data = files[part["path"]]
        assert part["bytes"] == len(data)
        assert part["sha256"] == hashlib.sha256(data).hexdigest()
        if part["format"] == "jsonl":
            found = [json.loads(line) for line in data.splitlines()]
            assert part["rows"] == len(found)
            assert part["image_rows"] == sum(bool(row.get("images")) for row in found)
    table = dataset.image_table(made_up_output)
    images = {row["file"]: row for row in table.values() if row["sha256"]}
    for path, row in images.items():
        assert row["sha256"] == hashlib.sha256(files[path]).hexdigest()
        assert row["bytes"] == len(files[path])
        assert f".{row['sha256'][:16]}." in path
    others = {"manifest.json", "dataset_info.json", "statistics.json", "report.html"}
    assert set(files) == {part["path"] for part in listed} | set(images) | others


def test_converting_twice_gives_the_same_bytes(made_up: SampleSummary, tmp_path: Path) -> None:
    one = converted(made_up.shards, made_up.image_zip, tmp_path / "one")
    two = converted(made_up.shards, made_up.image_zip, tmp_path / "two")
    assert dataset.everything(one) == dataset.everything(two)


def some_shards(folder: Path) -> list[Path]:
    return [
        write_shard(folder / f"{name}.json", [record(f"{name}{n}") for n in range(4)])
        for name in "abc"
    ]


@pytest.mark.parametrize(("limit", "last"), [(1, "a0"), (4, "a3"), (6, "b1"), (99, "c3")])
def test_limit_takes_the_first_records(tmp_path: Path, limit: int, last: str) -> None:
    images = write_zip(tmp_path / "files.zip", {})
    shards = some_shards(tmp_path)
    output = converted(shards, images, tmp_path / "out", "--limit", limit)
    ids = sorted(row["id"] for row in dataset.rows(output))
    assert ids == [f"{name}{n}" for name in "abc" for n in range(4) if f"{name}{n}" <= last]
    manifest = dataset.manifest(output)
    assert manifest["counts"]["records"] == len(ids)
    assert manifest["configuration"]["limit"] == limit


def sides(output: Path) -> tuple[set[str], set[str]]:
    train = {row["id"] for row in dataset.rows(output, "train")}
    val = {row["id"] for row in dataset.rows(output, "val")}
    return train, val


def test_a_record_never_changes_sides(tmp_path: Path) -> None:
    images = write_zip(tmp_path / "files.zip", {})
    few = [record(f"{n}") for n in range(60)]
    more = [record(f"{n}") for n in range(-20, 200)]
    options = ("--val-fraction", "0.3")
    # A repeated id, far from its first use and in another shard, stays where that is.
    again = write_shard(tmp_path / "again.json", few)
    small = converted(write_shard(tmp_path / "few.json", few), images, tmp_path / "one", *options)
    shards = [write_shard(tmp_path / "more.json", more), again]
    large = converted(shards, images, tmp_path / "two", *options)
    train, val = sides(small)
    grown_train, grown_val = sides(large)
    assert train | val == {one["id"] for one in few}
    assert not grown_train & grown_val
    assert train <= grown_train
    assert val <= grown_val
    assert 0.2 < len(grown_val) / len(more) < 0.4
    assert len(dataset.rows(large, "train")) + len(dataset.rows(large, "val")) == 280


@pytest.mark.parametrize(("format", "other"), [("jsonl", "parquet"), ("parquet", "jsonl")])
def test_one_format_alone(tmp_path: Path, format: str, other: str) -> None:
    images = write_zip(tmp_path / "files.zip", {"tongagent/1.jpg": picture()})
    shards = [
        write_shard(tmp_path / "a.json", [image_record("1", "tongagent/1.jpg"), record("2")]),
        write_shard(tmp_path / "b.json", [record("3")]),
    ]
    output = converted(shards, images, tmp_path / "out", "--formats", format)
    assert not (output / other).exists()
    info = json.loads((output / "dataset_info.json").read_bytes())
    assert [entry["file_name"] for entry in info.values()] == [format]
    found = dataset.rows(output) if format == "jsonl" else dataset.parquet_rows(output)
    assert sorted(row["id"] for row in found) == ["1", "2", "3"]


def test_the_first_prefix_that_fits_is_rewritten(tmp_path: Path) -> None:
    images = write_zip(tmp_path / "files.zip", {"new/b/1.jpg": picture()})
    records = [
        image_record("fits", "old/a/1.jpg"),
        image_record("is there", "new/b/1.jpg"),
        image_record("default", "data/open_llava_next/1.jpg"),
    ]
    shard = write_shard(tmp_path / "mat.json", records)
    options = ("--rewrite", "old/a/=new/b/", "old/=wrong/")
    output = converted(shard, images, tmp_path / "out", *options)
    rows = {row["id"]: row["images"] for row in dataset.rows(output)}
    file = dataset.image_table(output)["new/b/1.jpg"]["file"]
    assert rows == {"fits": [file], "is there": [file]}
    (reject,) = dataset.rejects(output)
    assert reject["reason"] == "image_missing"
    assert reject["detail"].startswith("'tongagent/1.jpg' is in none"), "the default comes last"


@pytest.mark.parametrize("content", [b"[]", b"[ ]\n"])
def test_an_empty_array_gives_an_empty_dataset(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mat.json").write_bytes(content)
    images = write_zip(tmp_path / "files.zip", {})
    output = tmp_path / "out"
    ran = run(*convert_words(tmp_path / "mat.json", images, output))
    assert ran.code == 3
    assert "No record was accepted" in ran.out
    manifest = dataset.manifest(output)
    assert manifest["counts"]["records"] == manifest["counts"]["rejected"] == 0
    assert manifest["parts"] == manifest["rejects"] == []
    assert json.loads((output / "dataset_info.json").read_bytes()) == {}


def test_all_rejected_is_a_result_too(tmp_path: Path) -> None:
    images = write_zip(tmp_path / "files.zip", {})
    shard = write_shard(tmp_path / "mat.json", [1, image_record("a", "gone.jpg")])
    ran = run(*convert_words(shard, images, tmp_path / "out"))
    assert ran.code == 3
    assert "No record was accepted" in ran.out
    again = run(*convert_words(shard, images, tmp_path / "out"))
    assert (again.code, "Nothing to do" in again.out) == (3, True)
    assert len(dataset.rejects(tmp_path / "out")) == 2
    assert dataset.manifest(tmp_path / "out")["counts"]["accepted"] == 0


def test_input_and_output_may_be_anywhere_that_fsspec_opens(tmp_path: Path) -> None:
    records = [image_record("1", "tongagent/1.jpg"), record("2"), 3]
    shard = write_shard(tmp_path / "in" / "mat.json", records)
    images = write_zip(tmp_path / "in" / "files.zip", {"tongagent/1.jpg": picture((900, 900))})
    local = converted(shard, images, tmp_path / "out")
    memory = fsspec.filesystem("memory")
    root = f"/{tmp_path.name}"
    try:
        memory.put(str(tmp_path / "in"), f"{root}/in", recursive=True)
        words = ["--json", f"memory:/{root}/in/*.json", "--images", f"memory:/{root}/in/files.zip"]
        ran = run("convert", *words, "--output", f"memory:/{root}/out")
        assert ran.code == 0, ran.err
        memory.get(f"{root}/out", str(tmp_path / "copy"), recursive=True)
    finally:
        memory.rm(root, recursive=True)
    copy = tmp_path / "copy"
    assert {path.name for path in copy.iterdir()} == {path.name for path in local.iterdir()}
    assert by_id(dataset.rows(copy)) == by_id(dataset.rows(local))
    assert dataset.manifest(copy)["counts"] == dataset.manifest(local)["counts"]
    assert dataset.tree(copy / "images") == dataset.tree(local / "images")
