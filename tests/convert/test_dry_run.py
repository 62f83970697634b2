"""``convert --dry-run`` prints what a conversion would do, and writes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.filesize import decimal

from tests import outputs as dataset
from tests.command import convert_words, run
from tests.making import image_record, picture, record, write_files, write_shard, write_zip


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    records = [
        image_record("found", "a/1.jpg"),
        record("text"),
        3,
        image_record("missing", "b/1.jpg"),
        image_record("broken", "a/broken.jpg"),
        image_record("in the folder", "f/1.jpg"),
    ]
    shard = write_shard(tmp_path / "mat.json", records)
    held = {"a/1.jpg": picture(), "a/broken.jpg": b"no picture", "c/b/1.jpg": picture(seed=1)}
    images = write_zip(tmp_path / "files.zip", {**held, "unused.jpg": b"x"})
    folder = write_files(tmp_path / "folder", {"f/1.jpg": picture(seed=2)})
    return convert_words(shard, [images, folder], tmp_path / "out")


def test_it_prints_what_is_known_without_reading_an_image(words: list[str], tmp_path: Path) -> None:
    ran = run(*words, "--dry-run")
    assert ran.code == 0, ran.err
    for name, value in {"input": 6, "accepted": 4, "rejected": 2, "found": 3}.items():
        assert re.search(rf"│ {name} +│ +{value} │", ran.out), (name, ran.out)
    assert re.search(r"not_an_object +│ +1 │", ran.out)
    assert re.search(r"image_missing +│ +1 │", ran.out)
    said = "1 image, b/1.jpg: files.zip has it as c/b/1.jpg: --rewrite b/=c/b/"
    assert said in ran.out
    size = decimal(len(picture()) + len(b"no picture"))
    assert f"  {size} of {tmp_path}/files.zip, 2 images\n" in ran.out
    assert f"  {decimal(len(picture(seed=2)))} of {tmp_path}/folder, 1 image\n" in ran.out
    assert not (tmp_path / "out").exists()


def test_the_conversion_then_does_that(words: list[str], tmp_path: Path) -> None:
    told = run(*words, "--dry-run").out
    ran = run(*words)
    assert ran.code == 0, ran.err
    line = next(line for line in told.splitlines() if "b/1.jpg: files.zip" in line)
    assert line in ran.out
    reasons = [one["reason"] for one in dataset.rejects(tmp_path / "out")]
    assert reasons == ["not_an_object", "image_missing", "image_undecodable"]


def test_a_dataset_stays_as_it_is(words: list[str], tmp_path: Path) -> None:
    assert run(*words).code == 0
    before = dataset.tree(tmp_path / "out")
    assert run(*words, "--dry-run", "--overwrite", "--rewrite", "b/=c/b/").code == 0
    assert dataset.tree(tmp_path / "out") == before


def test_the_output_may_be_left_out(words: list[str]) -> None:
    ran = run(*words[: words.index("--output")], "--dry-run")
    assert ran.code == 0, ran.err


def test_too_many_rejects_would_be_3(words: list[str]) -> None:
    ran = run(*words, "--dry-run", "--max-rejected", "0.3")
    assert ran.code == 3
    assert "2 of 6 records would be rejected, and --max-rejected allows 30.00%" in ran.err


def test_it_cannot_be_detached(words: list[str]) -> None:
    ran = run(*words, "--dry-run", "--detach")
    assert ran.code == 2
    assert "--detach: a dry run prints what it finds at its end; remove --detach" in ran.err
