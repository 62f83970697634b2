"""JSON shards as people have them: compressed, inside of one object, broken off, or no shards."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from beam_mat.core import chunk as chunk_module
from beam_mat.core import layout
from beam_mat.storage import texts
from tests import outputs as dataset
from tests.command import Ran, convert_words, converted, run
from tests.making import image_record, picture, record, write_shard, write_zip

PACK: dict[str, Callable[[bytes], bytes]] = {
    "json.gz": gzip.compress,
    "jsonl.zst": zstandard.compress,
    "json.bz2": bz2.compress,
    "xz": lzma.compress,
}
RECORDS = [record(f"t{n}") for n in range(40)] + [image_record(f"i{n}", "1.jpg") for n in range(9)]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "files.zip", {"1.jpg": picture()})


@pytest.fixture
def tiny_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_module, "MIN_CHUNK_BYTES", 2000)


def lines(records: list[Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def result(output: Path) -> dict[str, Any]:
    """The rows and the images, and what is said about rejected records, without names of parts."""
    return {
        "rows": sorted(dataset.rows(output), key=lambda row: str(row["id"])),
        "images": dataset.images(output),
        "counts": dataset.manifest(output)["counts"],
    }


def convert(shards: Path | list[Path], images: Path, output: Path, *options: object) -> Ran:
    return run(*convert_words(shards, images, output), *options)


# Compressed shards


@pytest.mark.usefixtures("tiny_chunks")
@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("form", ["array", "lines", "object"])
def test_a_compressed_shard_gives_what_it_gives_without(
    tmp_path: Path, images: Path, suffix: str, form: str
) -> None:
    text = {
        "array": json.dumps([*RECORDS, 5], indent=1).encode(),
        "lines": lines([*RECORDS, 5]),
        "object": json.dumps({"v": 1, "data": [*RECORDS, 5]}).encode(),
    }[form]
    plain = converted(put(tmp_path / "mat.json", text), images, tmp_path / "plain")
    packed = put(tmp_path / f"mat.{suffix}", PACK[suffix](text))
    output = converted(packed, images, tmp_path / "packed")
    assert result(output) == result(plain)
    assert result(output)["counts"]["accepted"] == len(RECORDS)
    (listed,) = dataset.manifest(output)["inputs"]["json"]
    assert listed["compression"]
    assert listed["size"] == packed.stat().st_size
    assert not (output / layout.UNPACKED).exists(), "the copy is removed"
    # The report shows the records, which are read again.
    report, expected = ((one / "report.html").read_text("utf-8") for one in (output, plain))
    assert report.count('data-kind="accepted"') == expected.count('data-kind="accepted"') > 0
    (reject,) = dataset.rejects(output)
    assert text[reject["start"] : reject["end"]] == b"5", "offsets are those of the text"
    again = convert(packed, images, output)
    assert "Nothing to do" in again.out


def test_the_content_decides_and_not_the_name(tmp_path: Path, images: Path) -> None:
    shards = [
        put(tmp_path / "a.json", zstandard.compress(lines(RECORDS[:3]))),
        put(tmp_path / "b.json.gz", lines(RECORDS[3:6])),
        put(
            tmp_path / "c.gz",
            bz2.compress(lines(RECORDS[6:9])) + bz2.compress(lines(RECORDS[9:12])),
        ),
    ]
    output = converted(shards, images, tmp_path / "out")
    assert {row["id"] for row in dataset.rows(output)} == {f"t{n}" for n in range(12)}


@pytest.mark.usefixtures("tiny_chunks")
def test_a_copy_that_is_lost_is_made_again(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from beam_mat.work import chunks

    packed = put(tmp_path / "mat.gz", gzip.compress(lines(RECORDS)))
    copies = tmp_path / "out" / layout.UNPACKED
    lost, made = list[Path](), list[str]()
    unpack, request = texts.unpack, chunks.request

    def lose(settings, chunk):  # type: ignore[no-untyped-def]
        for path in copies.iterdir() if len(lost) < 2 else ():
            path.unlink()
            lost.append(path)
        return request(settings, chunk)

    def noted(shard, codec, copy):  # type: ignore[no-untyped-def]
        made.append(copy)
        return unpack(shard, codec, copy)

    monkeypatch.setattr(chunks, "request", lose)
    monkeypatch.setattr(texts, "unpack", noted)
    output = converted(packed, images, tmp_path / "out")
    assert len(dataset.rows(output)) == len(RECORDS)
    assert len(lost) == 2
    assert len(made) == 3, "once, and once for each loss"
    assert len(set(made)) == 1


@pytest.mark.parametrize("suffix", PACK)
def test_a_compressed_shard_that_ends_early_keeps_what_came_before(
    tmp_path: Path, images: Path, suffix: str
) -> None:
    whole = PACK[suffix](lines(RECORDS[:20]))
    data = whole + PACK[suffix](lines(RECORDS[20:40]))
    packed = put(tmp_path / f"mat.{suffix}", data[: len(whole) + 12])
    ran = convert(packed, images, tmp_path / "out")
    assert ran.code == 0
    assert {row["id"] for row in dataset.rows(tmp_path / "out")} >= {f"t{n}" for n in range(20)}
    last = dataset.rejects(tmp_path / "out")[-1]
    assert last["reason"] == "shard_breaks_off"
    assert "stream ends early, after" in last["detail"]
    assert f"mat.{suffix} breaks off at byte " in ran.out
    assert "decompressed bytes were not read" in ran.out


def test_a_damaged_shard_counts_what_was_not_read(tmp_path: Path, images: Path) -> None:
    member = gzip.compress(json.dumps(RECORDS[:20]).encode()[:-1] + b",")
    data = member + b"\x1f\x8b\x08" + b"\xff" * len(member)
    packed = put(tmp_path / "mat.gz", data)
    ran = convert(packed, images, tmp_path / "out", "--max-rejected", "0.3")
    assert ran.code == 3
    assert "of the shards could not be read, because they break off" in ran.err
    ran = convert(packed, images, tmp_path / "out", "--max-rejected", "0.6")
    assert ran.code == 0
    (broken,) = [one["broken"] for one in dataset.manifest(tmp_path / "out")["inputs"]["json"]]
    assert 0.4 < broken["unread"] / broken["size"] < 0.6
    assert len(dataset.rows(tmp_path / "out")) == 20


def test_the_first_records_of_a_compressed_shard(tmp_path: Path, images: Path) -> None:
    packed = put(tmp_path / "mat.gz", gzip.compress(lines(RECORDS)))
    output = converted(packed, images, tmp_path / "out", "--limit", "7")
    assert {row["id"] for row in dataset.rows(output)} == {f"t{n}" for n in range(7)}


def test_what_is_inside_a_compressed_file_is_named(tmp_path: Path, images: Path) -> None:
    twice = put(tmp_path / "twice.gz", gzip.compress(gzip.compress(b"[]")))
    page = put(tmp_path / "page.gz", gzip.compress(b"<html>"))
    empty = put(tmp_path / "empty.gz", gzip.compress(b""))
    cut = put(tmp_path / "cut.gz", gzip.compress(b"[]")[:9])
    ran = convert([twice, page, empty, cut], images, tmp_path / "out")
    assert ran.code == 2
    assert f"--json {twice}: decompressed with gzip, the file is compressed with gzip" in ran.err
    assert f"--json {page}: decompressed with gzip, the file is a web page" in ran.err
    assert f"--json {empty}: decompressed with gzip, the file is empty" in ran.err
    assert f"--json {cut}: the gzip stream ends early, after 0 decompressed bytes" in ran.err


# One object that holds the records


@pytest.mark.usefixtures("tiny_chunks")
@pytest.mark.parametrize("indent", [None, 0, 3])
def test_the_list_in_an_object_is_read(tmp_path: Path, images: Path, indent: int | None) -> None:
    wrapped = {"info": {"by": ["x"]}, "names": ["y"], "data": [*RECORDS, 5], "end": None}
    shard = put(tmp_path / "mat.json", json.dumps(wrapped, indent=indent).encode())
    plain = converted(write_shard(tmp_path / "l.json", [*RECORDS, 5]), images, tmp_path / "plain")
    output = tmp_path / "out"
    ran = convert(shard, images, output)
    assert ran.code == 0, ran.err
    assert "mat.json: its records are the list 'data' of one object" in ran.out
    assert result(output) == result(plain)
    assert dataset.manifest(output)["inputs"]["json"][0]["key"] == "data"
    (reject,) = dataset.rejects(output)
    assert shard.read_bytes()[reject["start"] : reject["end"]] == b"5"


def test_of_several_lists_the_records_have_to_be_named(tmp_path: Path, images: Path) -> None:
    wrapped = {"train": RECORDS[:3], "val": RECORDS[3:5]}
    shards = [
        put(tmp_path / "a.json", json.dumps(wrapped).encode()),
        put(tmp_path / "b.json.gz", gzip.compress(json.dumps(wrapped, indent=1).encode())),
        write_shard(tmp_path / "c.json", RECORDS[5:7]),
    ]
    ran = convert(shards, images, tmp_path / "out")
    assert ran.code == 2
    for shard in shards[:2]:
        assert f"--json {shard}: " in ran.err
    assert ran.err.count("several of its keys hold a list of objects: train, val; ") == 2
    assert "such as --records train" in ran.err
    output = converted(shards, images, tmp_path / "out", "--records", "val")
    assert {row["id"] for row in dataset.rows(output)} == {"t3", "t4", "t5", "t6"}
    assert dataset.manifest(output)["configuration"]["records"] == "val"
    other = convert(shards, images, tmp_path / "out", "--records", "train")
    assert other.code == 2
    assert "--records train: the dataset in" in other.err


def test_an_object_that_breaks_off_keeps_the_records_before(tmp_path: Path, images: Path) -> None:
    text = json.dumps({"data": RECORDS[:5], "more": {}}).encode()
    end = text.index(b', "more"')
    cases = {
        "inside": (text[: text.index(b'"t3"')], 3),
        "behind the list": (text[: end + 9], 5),
        "trailing": (json.dumps({"data": RECORDS[:5]}, indent=1).encode() + b"]", 5),
    }
    for name, (data, accepted) in cases.items():
        shard = put(tmp_path / f"{name}.json", data)
        ran = convert(shard, images, tmp_path / name)
        assert ran.code == 0
        assert len(dataset.rows(tmp_path / name)) == accepted
        assert f"{name}.json breaks off at byte " in ran.out


def test_one_record_on_one_line_is_json_lines(tmp_path: Path, images: Path) -> None:
    shard = put(tmp_path / "mat.jsonl", lines(RECORDS[:1]))
    output = converted(shard, images, tmp_path / "out")
    assert [row["id"] for row in dataset.rows(output)] == ["t0"]
    over_lines = put(tmp_path / "one.json", json.dumps(RECORDS[0], indent=1).encode())
    ran = convert(over_lines, images, tmp_path / "two")
    assert ran.code == 2
    assert "the file is a single record over several lines; write an array" in ran.err


# What is no shard


def test_every_file_that_is_no_shard_is_named_before_anything_runs(
    tmp_path: Path, images: Path
) -> None:
    files = {
        "a.json": (b"PAR1....", "the file is Parquet; write it as JSON Lines"),
        "b.json": (b"<!doctype html>", "the file is a web page"),
        "c.json": (b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
        "d.json": ("[]".encode("utf-16"), "write it in UTF-8"),
        "e.json": (b"", "the file is empty; download it again"),
        "f.json": (b"7z\xbc\xaf\x27\x1c\0\4", "7z x FILE"),
        "g.json": (b"PK\x03\x04....", "zips of images belong to --images"),
    }
    for name, (data, _) in files.items():
        put(tmp_path / name, data)
    write_shard(tmp_path / "sound.json", RECORDS)
    ran = convert(tmp_path / "*.json", images, tmp_path / "out")
    assert ran.code == 2
    assert f"{len(files)} configuration errors" in ran.err
    for name, (_, words) in files.items():
        (line,) = (one for one in ran.err.splitlines() if f"{tmp_path}/{name}: " in one)
        assert words in line
    assert "sound.json" not in ran.err
    assert not (tmp_path / "out").exists()


def test_garbage_in_the_middle_counts_for_the_limit(tmp_path: Path, images: Path) -> None:
    text = json.dumps(RECORDS[:20]).encode()
    middle = text.index(b'{"id": "t5"')
    shard = put(tmp_path / "mat.json", text[:middle] + b"}" + text[middle:])
    ran = convert(shard, images, tmp_path / "out", "--max-rejected", "0.5")
    assert ran.code == 3, "one of six records was rejected, but three quarters were not read"
    assert "% of the shards could not be read" in ran.err
    converted(shard, images, tmp_path / "out", "--max-rejected", "0.8")
    assert len(dataset.rows(tmp_path / "out")) == 5


# Names


def test_hidden_files_match_no_pattern(tmp_path: Path, images: Path) -> None:
    for name in ("a.json", "x/b.json"):
        write_shard(tmp_path / "in" / name, [record(name)])
    hidden = ("._a.json", ".DS_Store.json", "__MACOSX/a.json", "x/._b.json", ".cache/c.json")
    for name in hidden:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        put(tmp_path / "in" / name, b"\0\5\x16\7")
    output = converted(tmp_path / "in" / "**" / "*.json", images, tmp_path / "out")
    assert {row["id"] for row in dataset.rows(output)} == {"a.json", "x/b.json"}
    flat = converted(tmp_path / "in" / "*", images, tmp_path / "flat")
    assert {row["id"] for row in dataset.rows(flat)} == {"a.json"}
    ran = convert(tmp_path / "in" / "._*", images, tmp_path / "named")
    assert f"--json {tmp_path}/in/._a.json: " in ran.err, "who names them gets them"


def test_a_folder_in_the_place_of_shards_is_told_apart(tmp_path: Path, images: Path) -> None:
    write_shard(tmp_path / "in" / "a.json", RECORDS)
    ran = convert(tmp_path / "in", images, tmp_path / "out")
    assert ran.code == 2
    assert (
        f"--json {tmp_path}/in: is a folder; give a pattern for the files in it, such as --json "
        f"'{tmp_path}/in/*.json'"
    ) in ran.err


def test_an_output_that_a_pattern_reaches_is_refused(tmp_path: Path, images: Path) -> None:
    write_shard(tmp_path / "in" / "a.json", RECORDS)
    for pattern in ("in/**", "in/**/*.json", "in/*/*.json"):
        ran = convert(tmp_path / pattern, images, tmp_path / "in" / "out")
        assert ran.code == 2
        assert f"overlaps the input {tmp_path}/{pattern}" in ran.err
    converted(tmp_path / "in" / "*.json", images, tmp_path / "in" / "out")
