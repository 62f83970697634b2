"""Missing images: the nearest member is named, and what is proposed works when it is pasted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests import outputs as dataset
from tests.command import convert_words, converted, run
from tests.making import image_record, picture, write_files, write_shard, write_zip


def shard_of(folder: Path, paths: Iterable[str]) -> Path:
    records = [image_record(f"r{number}", path) for number, path in enumerate(paths)]
    return write_shard(folder / "mat.json", records)


def pictures(paths: Iterable[str]) -> Mapping[str, bytes]:
    return {path: picture((20, 20), number) for number, path in enumerate(paths)}


def options_in(text: str) -> list[str]:
    """The proposed options of the last line with a proposal."""
    found = re.findall(r"--rewrite [^\n]*", text)
    return shlex.split(found[-1]) if found else []


def test_what_is_proposed_works(tmp_path: Path) -> None:
    asked = [
        *("data/open_llava_next/c/1.jpg", "data/open_llava_next/c/2.jpg", "g/a/1.jpg", "g/a/2.jpg"),
        *("o/1.jpg", "o/2.jpg", "c/A.jpg", "a/x/1.jpg", "a/2.jpg", "data/open_llava_next/3.jpg"),
    ]
    there = [
        *("c/1.jpg", "c/2.jpg", "d/g/a/1.jpg", "d/g/a/2.jpg"),
        *("o/1.png", "o/2.png", "c/a.jpg", "d/a/x/1.jpg", "y/2.jpg", "tongagent/3.jpg"),
    ]
    shard = shard_of(tmp_path, asked)
    half = len(there) // 2
    images = [
        write_zip(tmp_path / "files.zip", pictures(there[:half])),
        write_files(tmp_path / "folder", pictures(there[half:])),
    ]
    words = convert_words(shard, images, tmp_path / "one")
    first = run(*words, "--rewrite", "a/=y/")
    assert first.code == 0, first.err
    missed = dataset.rejects(tmp_path / "one")
    assert [one["reason"] for one in missed] == ["image_missing"] * 8
    said = "the image sources have them below o/ as .png: --rewrite 'o/*.jpg=o/*.png' a/=y/"
    assert f"  2 images below o/: {said}\n" in first.out
    proposed = options_in(first.out)
    second = run(*convert_words(shard, images, tmp_path / "two"), *proposed)
    assert second.code == 0, second.err
    assert dataset.rejects(tmp_path / "two") == []
    assert "Missing images" not in second.out
    # The option in a reject makes its own image match.
    for at in (0, 5):
        own = tmp_path / f"own{at}"
        converted(shard, images, own, *options_in(missed[at]["detail"]))
        assert missed[at]["index"] not in {one["index"] for one in dataset.rejects(own)}


def test_an_archive_in_a_folder_is_looked_into(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, ["coco/1.jpg", "coco/2.jpg", "gqa/1.jpg"])
    folder = write_files(tmp_path / "all", {"3.jpg": picture(), "broken.zip": b"no zip"})
    packed = write_zip(folder / "sub" / "coco.zip", pictures(["coco/1.jpg", "coco/2.jpg"]))
    write_zip(folder / "gqa.ZIP", pictures(["images/gqa/1.jpg"]))
    ran = run(*convert_words(shard, folder, tmp_path / "out"))
    assert ran.code == 3, "no record was accepted"
    said = "2 images below coco/: coco.zip, which is in a folder of --images, has them"
    assert f"  {said}: add {packed} to --images\n" in ran.out
    said = "1 image, gqa/1.jpg: gqa.ZIP, which is in a folder of --images, has it as images/gqa/1"
    assert (
        f"  {said}.jpg: add {folder}/gqa.ZIP to --images and --rewrite gqa/=images/gqa/" in ran.out
    )
    first, *_ = dataset.rejects(tmp_path / "out")
    assert first["detail"].endswith(
        f"; coco.zip, an archive in that folder, has 'coco/1.jpg': add {packed} to --images"
    )
    sources = [folder, packed, folder / "gqa.ZIP"]
    options = ("--rewrite", "gqa/=images/gqa/")
    output = converted(shard, sources, tmp_path / "two", *options)
    assert dataset.rejects(output) == []


def test_images_that_are_found_are_not_given_up(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, ["g/1.jpg", "g/2.jpg", "g/3.jpg"])
    images = write_zip(tmp_path / "files.zip", pictures(["g/1.jpg", "d/g/2.jpg", "d/g/3.jpg"]))
    ran = run(*convert_words(shard, images, tmp_path / "out"))
    assert "; but 1 image that is found now would not be found with it" in ran.out


def test_without_the_default_nothing_is_rewritten(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, ["data/open_llava_next/1.jpg", "a/2.jpg"])
    images = write_zip(tmp_path / "files.zip", pictures(["data/open_llava_next/1.jpg", "b/2.jpg"]))
    options = ("--no-default-rewrite", "--rewrite", "a/=b/")
    assert dataset.rejects(converted(shard, images, tmp_path / "out", *options)) == []
    (reject,) = dataset.rejects(converted(shard, images, tmp_path / "two", *options[1:]))
    assert "'tongagent/1.jpg'" in reject["detail"]


def test_a_nearer_member_changes_no_part(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, ["g/1.jpg", "a/2.jpg"])
    one = write_zip(tmp_path / "one.zip", pictures(["a/2.jpg"]))
    two = write_zip(tmp_path / "two.zip", pictures(["d/g/1.jpg"]))
    output = converted(shard, one, tmp_path / "out")
    parts = [part["path"] for part in dataset.manifest(output)["parts"]]
    converted(shard, [one, two], output)
    assert [part["path"] for part in dataset.manifest(output)["parts"]] == parts
    (reject,) = dataset.rejects(output)
    assert "two.zip has 'd/g/1.jpg': --rewrite g/=d/g/" in reject["detail"]
    fresh = converted(shard, [one, two], tmp_path / "fresh")
    assert dataset.content(dataset.everything(fresh)) == dataset.content(dataset.everything(output))
