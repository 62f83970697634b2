"""What a conversion writes arrives whole in LLaMA-Factory, in whatever order it lists the parts."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from beam_mat.sample import write_sample
from tests import outputs as dataset
from tests.command import convert_words, spawn
from tests.llamafactory.conftest import Reader
from tests.making import Record, image_record, picture, record, write_shard, write_zip

pytestmark = pytest.mark.llamafactory

CASES = [
    (1, "sorted"),
    (1, "reversed"),
    (1, "shuffled 1"),
    (1, "shuffled 2"),
    (4, "reversed"),
    (4, "shuffled 3"),
]
"""Preprocessing workers, and the order in which the folder is listed."""
LONG = "It is a long story. " * 320
"""As system prompt: 2,000 records exceed the 10 MB from which types are guessed."""
SHORT = LONG[: len(LONG) // 5]
"""As system prompt: 2,200 records are one part."""


def convert(json: list[Path], images: Path, output: Path, *options: str) -> Path:
    ran = spawn(*convert_words(json, images, output), *options)
    assert ran.code == 0, ran.err
    return output


def text_rows(count: int, system: str = LONG) -> list[Record]:
    return [record(f"text {n}", system=system, question=f"Task: {n}?") for n in range(count)]


def image_rows(count: int, system: str = LONG) -> list[Record]:
    paths = [f"tongagent/{n % 40}.jpg" for n in range(count)]
    return [image_record(f"image {n}", path, system=system) for n, path in enumerate(paths)]


def some_images(folder: Path) -> Path:
    sizes = itertools.cycle([(80, 60), (900, 700), (33, 120)])
    members = {f"tongagent/{n}.jpg": picture(next(sizes), seed=n) for n in range(40)}
    return write_zip(folder / "files.zip", members)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


@pytest.fixture(scope="module")
def real(scratch: Path, mat_sample: Path) -> Path:
    return convert([mat_sample / "mat_train.json"], mat_sample / "files.zip", scratch / "real")


@pytest.fixture(scope="module")
def images_last(scratch: Path) -> Path:
    folder = scratch / "images-last"
    shard = write_shard(folder / "mat.json", text_rows(2000) + image_rows(200))
    return convert([shard], some_images(folder), folder / "out")


@pytest.fixture(scope="module")
def one_part(scratch: Path) -> Path:
    folder = scratch / "one-part"
    shard = write_shard(folder / "mat.json", text_rows(2000, SHORT) + image_rows(200, SHORT))
    output = convert([shard], some_images(folder), folder / "out")
    assert len([*(output / "jsonl").iterdir()]) == 1
    return output


@pytest.fixture(scope="module")
def texts_apart(scratch: Path) -> Path:
    folder = scratch / "texts-apart"
    shards = [
        write_shard(folder / "a.json", text_rows(2000)),
        write_shard(folder / "b.json", image_rows(200)),
    ]
    return convert(shards, some_images(folder), folder / "out")


@pytest.fixture(scope="module")
def small_split(scratch: Path) -> Path:
    folder = scratch / "small-split"
    records = [*text_rows(900), *image_rows(300), *text_rows(900)]
    for number, one in enumerate(records):
        one["id"] = f"{number}"
    shards = [
        write_shard(folder / f"{start:04}.json", records[start : start + 60])
        for start in range(0, len(records), 60)
    ]
    return convert(shards, some_images(folder), folder / "out", "--val-fraction", "0.05")


@pytest.fixture(scope="module")
def text_only(scratch: Path) -> Path:
    folder = scratch / "text-only"
    shards = [
        write_shard(folder / "a.json", text_rows(1500)),
        write_shard(folder / "b.json", text_rows(20)),
    ]
    return convert(shards, some_images(folder), folder / "out")


@pytest.fixture(scope="module")
def faulty(scratch: Path) -> Path:
    made = write_sample(scratch / "faulty", faults=True)
    return convert(list(made.shards), made.image_zip, scratch / "faulty-out")


def expected(output: Path, split: str) -> Counter[tuple[str, tuple[str, ...]]]:
    """How often each row is to arrive: the hash of its text as reader.py makes it, and its images.

    These rows have no tools.
    """
    found: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for row in dataset.rows(output, split):
        turns = [[turn["role"], turn["content"]] for turn in row["messages"]]
        text = json.dumps([turns, row["system"], ""])
        found[hashlib.sha256(text.encode()).hexdigest(), tuple(row["images"])] += 1
    return found


def check(reader: Reader, output: Path, name: str, workers: int, order: str = "sorted") -> None:
    split = "val" if name.endswith("_val") else "train"
    arrived = reader.rows(output, name, workers, order)
    format = "parquet" if "parquet" in name else "jsonl"
    parts = dataset.manifest(output)["parts"]
    counted = sum(p["rows"] for p in parts if (p["format"], p["split"]) == (format, split))
    assert len(arrived) == counted > 0
    found = ((row["text"], tuple(image["path"] for image in row["images"])) for row in arrived)
    assert Counter(found) == expected(output, split)
    table = dataset.image_files(output)
    for row in arrived:
        assert row["placeholders"] == len(row["images"])
        for image in row["images"]:
            known = table[image["path"]]
            assert image["size"] == [known["width"], known["height"]]
            assert image["sha256"] == known["sha256"]


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("name", ["mat", "mat_parquet"])
@pytest.mark.parametrize("made", ["real", "faulty", "text_only"])
def test_every_row_arrives(
    reader: Reader, request: pytest.FixtureRequest, made: str, name: str, workers: int
) -> None:
    output: Path = request.getfixturevalue(made)
    check(reader, output, name, workers)
    counts: dict[str, Any] = dataset.manifest(output)["counts"]
    assert sum(expected(output, "train").values()) == counts["accepted"]


@pytest.mark.parametrize(("workers", "order"), CASES)
@pytest.mark.parametrize("name", ["mat", "mat_parquet"])
@pytest.mark.parametrize("made", ["images_last", "one_part", "texts_apart"])
def test_two_thousand_text_only_rows_before_the_first_image_do_no_harm(
    reader: Reader, request: pytest.FixtureRequest, made: str, name: str, workers: int, order: str
) -> None:
    output: Path = request.getfixturevalue(made)
    assert dataset.manifest(output)["counts"]["accepted"] == 2200
    check(reader, output, name, workers, order)


@pytest.mark.parametrize(("workers", "order"), CASES)
@pytest.mark.parametrize("name", ["mat", "mat_parquet", "mat_val", "mat_parquet_val"])
def test_a_small_validation_split_loads_in_any_order(
    reader: Reader, small_split: Path, name: str, workers: int, order: str
) -> None:
    assert dataset.manifest(small_split)["counts"]["accepted"] == 2100
    # Of 35 shards, most have no image on the validation side: their rows stand with others.
    assert 1 < len([*(small_split / "jsonl_val").iterdir()]) < 20
    check(reader, small_split, name, workers, order)


def in_order_of_input(folder: Path, records: list[Record], path: str) -> Path:
    """A dataset as one would write it without knowing better: in the order of the records."""
    write_zip(folder / "files.zip", {path: picture()})
    shard = write_shard(folder / "mat.json", records[:1])
    output = convert([shard], folder / "files.zip", folder / "out")
    (part,) = (output / "jsonl").iterdir()
    with part.open("w") as file:
        for one in records:
            system, *turns = one["conversations"]
            images = [] if one["image"] == "{}" else [one["image"]]
            row = {"messages": turns, "images": images, "system": system["content"]}
            file.write(json.dumps(row) + "\n")
    return output


def test_the_same_rows_in_the_order_of_the_input_would_fail(reader: Reader, tmp_path: Path) -> None:
    records = [*text_rows(2000), image_record("last", "tongagent/1.jpg")]
    output = in_order_of_input(tmp_path, records, "tongagent/1.jpg")
    assert "Couldn't cast" in reader.load(output, "mat", workers=1)["error"]
    assert "to null" in reader.load(output, "mat", workers=1)["error"]


def test_a_thousand_short_text_only_rows_would_fail_too(reader: Reader, tmp_path: Path) -> None:
    # Few enough bytes for one guess, yet the rows are converted a thousand at a time.
    texts = [record(f"{n}") for n in range(1000)]
    records = [*texts, image_record("last", "tongagent/1.jpg")]
    output = in_order_of_input(tmp_path, records, "tongagent/1.jpg")
    assert "Couldn't cast" in reader.load(output, "mat", workers=1)["error"]


@pytest.fixture(scope="module")
def poor_chunk(scratch: Path) -> Path:
    """A chunk with one image row among 3,000 short ones, and a chunk with images alone."""
    folder = scratch / "poor-chunk"
    shards = [
        write_shard(folder / "a.json", text_rows(2999, "short") + image_rows(1, "short")),
        write_shard(folder / "b.json", image_rows(300, "short")),
    ]
    return convert(shards, some_images(folder), folder / "out")


@pytest.fixture(scope="module")
def poor_base(scratch: Path) -> Path:
    """Text-only chunks to be dealt in, a chunk with one image row and one with two hundred."""
    folder = scratch / "poor-base"
    shards = [write_shard(folder / f"{n:02}.json", text_rows(600)) for n in range(10)]
    shards.append(write_shard(folder / "10.json", image_rows(1) + text_rows(9)))
    shards.append(write_shard(folder / "11.json", image_rows(200)))
    return convert(shards, some_images(folder), folder / "out")


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["mat", "mat_parquet"])
@pytest.mark.parametrize("made", ["poor_chunk", "poor_base"])
def test_image_rows_are_shared_out_evenly_among_parts(
    reader: Reader, request: pytest.FixtureRequest, made: str, name: str, workers: int
) -> None:
    check(reader, request.getfixturevalue(made), name, workers)
