"""Shards and image sources as users have them: several, in globs, unzipped, damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import outputs as dataset
from tests.command import convert_words, converted, run
from tests.making import (
    image_record,
    picture,
    record,
    write_files,
    write_shard,
    write_zip,
)

MEMBERS = {
    "tongagent/a/1.jpg": picture((90, 70), seed=1),
    "tongagent/a/2.png": picture((900, 700), seed=2, format="PNG"),
    "tongagent/b/3.jpg": picture((800, 800), seed=3),
    "tongagent/b/broken.jpg": b"no picture",
    "tongagent/unused.jpg": picture(seed=4),
}


def records() -> list[dict[str, object]]:
    return [image_record(path, path) for path in MEMBERS if "unused" not in path] + [record("text")]


def test_a_folder_of_unzipped_images_gives_the_same_as_the_zip(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "mat.json", records())
    zipped = converted(shard, write_zip(tmp_path / "f.zip", MEMBERS), tmp_path / "one")
    unzipped = converted(shard, write_files(tmp_path / "f", MEMBERS), tmp_path / "two")
    one, two = dataset.tree(zipped), dataset.tree(unzipped)
    # These name the source.
    for named in ("manifest.json", "images.parquet", "report.html"):
        del one[named], two[named]
    assert one == two
    assert sum(name.startswith("images/") for name in one) == 3
    tables = [dataset.image_table(output) for output in (zipped, unzipped)]
    for table in tables:
        for row in table.values():
            del row["source"]
    assert tables[0] == tables[1]


def test_an_image_that_no_record_uses_is_left_out(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "mat.json", records())
    output = converted(shard, write_zip(tmp_path / "f.zip", MEMBERS), tmp_path / "out")
    assert "tongagent/unused.jpg" not in dataset.image_table(output)
    assert not any("unused" in name for name in dataset.tree(output))


def test_of_several_sources_the_first_that_has_an_image_wins(tmp_path: Path) -> None:
    first, second, third = (picture(seed=seed) for seed in (1, 2, 3))
    sources = [
        write_zip(tmp_path / "z.zip", {"a.jpg": first}),
        write_files(tmp_path / "folder", {"a.jpg": second, "b.jpg": second}),
        write_zip(tmp_path / "a.zip", {"a.jpg": third, "b.jpg": third, "c.jpg": third}),
    ]
    shard = write_shard(tmp_path / "mat.json", [image_record(n, f"{n}.jpg") for n in "abc"])
    output = converted(shard, sources, tmp_path / "out")
    assert dataset.images(output) == {"a.jpg": first, "b.jpg": second, "c.jpg": third}
    assert len(dataset.tree(output / "images")) == 3
    table = dataset.image_table(output)
    assert [table[f"{n}.jpg"]["source"].removeprefix(f"{tmp_path}/") for n in "abc"] == [
        *("z.zip", "folder/b.jpg", "a.zip"),
    ]


def test_globs_name_what_their_files_name(tmp_path: Path) -> None:
    shards = [write_shard(tmp_path / "in" / f"{n}.json", [record(f"{n}")]) for n in range(3)]
    write_zip(tmp_path / "zips" / "1.zip", {})
    listed = converted(shards, tmp_path / "zips" / "1.zip", tmp_path / "one")
    globbed = converted(tmp_path / "in" / "*.json", tmp_path / "zips" / "*.zip", tmp_path / "two")
    assert dataset.tree(listed) == dataset.tree(globbed)
    assert dataset.manifest(listed)["counts"]["records"] == 3


def test_a_name_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "in" / "a.json", [record("a")])
    odd = tmp_path / "in" / os.fsdecode(b"z\xff.json")
    odd.write_bytes(shard.read_bytes())
    zipped = write_zip(tmp_path / "f.zip", {"a.jpg": picture()})
    other = tmp_path / os.fsdecode(b"z\xff.zip")
    other.write_bytes(zipped.read_bytes())
    out = tmp_path / "out"
    for shards, images, name in [
        (tmp_path / "in" / "*.json", zipped, "z\\udcff.json"),
        (odd, zipped, "z\\udcff.json"),
        (shard, tmp_path / "*.zip", "z\\udcff.zip"),
        (shard, other, "z\\udcff.zip"),
    ]:
        ran = run(*convert_words(shards, images, out))
        assert ran.code == 2
        assert f"{name}: the name is not UTF-8; rename the file" in ran.err
    ran = run(*convert_words(shard, zipped, tmp_path / os.fsdecode(b"out\xff")))
    assert ran.code == 2
    assert "the name is not UTF-8" in ran.err


def test_a_shard_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.json", [record("1")])
    images = write_zip(tmp_path / "files.zip", {})
    output = converted([shard, tmp_path / "*.json", shard], images, tmp_path / "out")
    assert dataset.manifest(output)["counts"]["records"] == 1


def test_the_order_of_shards_decides_which_duplicate_stays(tmp_path: Path) -> None:
    one = write_shard(tmp_path / "1.json", [record("x", answer="one"), record("x", answer="1b")])
    two = write_shard(tmp_path / "2.json", [record("x", answer="two"), record("y")])
    images = write_zip(tmp_path / "files.zip", {})
    for shards, kept in (([one, two], "one"), ([two, one], "two")):
        output = converted(shards, images, tmp_path / kept, "--duplicates", "drop")
        answers = {row["id"]: row["messages"][-1]["content"] for row in dataset.rows(output)}
        assert answers["x"] == kept
        assert set(answers) == {"x", "y"}
        assert [one["reason"] for one in dataset.rejects(output)] == ["duplicate_id"] * 2


def test_a_rejected_record_takes_no_id_from_a_sound_one(tmp_path: Path) -> None:
    spoiled = record("x", answer="")
    shard = write_shard(tmp_path / "mat.json", [spoiled, record("x")])
    images = write_zip(tmp_path / "files.zip", {})
    output = converted(shard, images, tmp_path / "out", "--duplicates", "drop")
    assert [row["id"] for row in dataset.rows(output)] == ["x"]


def test_a_file_that_is_no_zip_is_refused_by_name(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "mat.json", records())
    whole = write_zip(tmp_path / "whole.zip", MEMBERS)
    torn = tmp_path / "torn.zip"
    torn.write_bytes(whole.read_bytes()[:-200])
    ran = run(*convert_words(shard, [whole, torn], tmp_path / "out"))
    assert ran.code == 2
    assert f"{torn}: is not a zip or is cut off" in ran.err
    assert str(whole) not in ran.err
    assert not (tmp_path / "out").exists()


def test_a_zip_with_a_damaged_directory_fails_by_name(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "mat.json", records())
    whole = write_zip(tmp_path / "whole.zip", MEMBERS)
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(whole.read_bytes().replace(b"PK\1\2", b"PK\0\0"))
    ran = run(*convert_words(shard, [whole, damaged], tmp_path / "out"))
    assert ran.code == 1
    assert f"{damaged}: the zip cannot be read" in ran.err
    assert ran.err.endswith("; download or pack it again\n")
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_arrays_and_json_lines_give_the_same_rows(tmp_path: Path, suffix: str) -> None:
    made = [record(f"{n}", answer='é\U0001f600 \\ "quoted" ]}') for n in range(3)]
    shard = write_shard(tmp_path / f"mat{suffix}", made)
    if suffix == ".jsonl":
        shard.write_text("\n".join(json.dumps(one) for one in made) + "\n")
    output = converted(shard, write_zip(tmp_path / "files.zip", {}), tmp_path / "out")
    rows = {row["id"]: row["messages"][1]["content"] for row in dataset.rows(output)}
    assert rows == {f"{n}": 'é\U0001f600 \\ "quoted" ]}' for n in range(3)}
