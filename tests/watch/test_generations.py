"""Generations stay what they were: nothing that a commit names is overwritten."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beam_mat.dataset import log
from tests import log_checks
from tests import outputs as dataset
from tests.command import converted
from tests.making import image_record, picture, record, write_zip
from tests.watch.soak import Watch, check
from tests.watch.test_watch import PATIENCE, Site, site, started, wait_for  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.prism]


def read_generation(output: Path, number: int) -> dict[str, list[bytes]]:
    """The images of each record, by id: as the JSONL rows name them."""
    return {
        row["id"]: [(output / file).read_bytes() for file in row["images"]]
        for row in rows_of(output, number, "jsonl")
    }


def embedded(output: Path, number: int) -> dict[str, list[bytes]]:
    """The images of each record, by id: as the Parquet rows hold them."""
    return {
        row["id"]: [image["bytes"] for image in row["images"]]
        for row in rows_of(output, number, "parquet")
    }


def rows_of(output: Path, number: int, format: str) -> list[dict[str, Any]]:
    parts = [
        Path(log_checks.where(str(output), part))
        for part in log.snapshot(str(output), number).parts()
        if part.format == format
    ]
    read = dataset.json_lines if format == "jsonl" else dataset.parquet_file_rows
    return [row for part in parts for row in read(part)]


def inodes(output: Path) -> dict[int, str]:
    """The hash of each file that a commit may name, by inode: parts can be moved."""
    folders = ("images", "jsonl", "parquet", "rejects", "replaced", "generations")
    found = (file for folder in folders for file in output.glob(f"{folder}/**/*"))
    return {
        file.stat().st_ino: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in found
        if file.is_file()
    }


def test_a_picture_that_is_replaced_leaves_older_generations_their_own(
    site: Site,  # noqa: F811
    started: Callable[..., Watch],  # noqa: F811
) -> None:
    first, second, other = (picture(seed=seed) for seed in (1, 2, 3))
    site.land_zip("a.zip", i=first, j=other)
    site.land_shard("a.json", image_record("i", "i.jpg"), image_record("j", "j.jpg"), record("t"))
    watch = started()
    wait_for(lambda: site.committed("a.json", 3), watch, "the first generation")
    number = dataset.manifest(site.output)["generation"]
    before = inodes(site.output)
    pixels = {"i": [first], "j": [other], "t": []}
    assert read_generation(site.output, number) == embedded(site.output, number) == pixels
    file = site.output / dataset.image_table(site.output)["i.jpg"]["file"]
    (part,) = (site.output / "jsonl").iterdir()
    with file.open("rb") as open_image, part.open("rb") as open_part:
        begun = open_part.read(10)
        site.land_zip("a.zip", i=second, j=other)
        wait_for(lambda: dataset.images(site.output)["i.jpg"] == second, watch, "the second")
        assert watch.stop() == 0
        # Whoever had opened the files goes on with what they were.
        assert open_image.read() == first
        assert len((begun + open_part.read()).splitlines()) == 3
    last = dataset.manifest(site.output)["generation"]
    assert last > number
    assert read_generation(site.output, number) == embedded(site.output, number) == pixels
    pixels["i"] = [second]
    assert read_generation(site.output, last) == embedded(site.output, last) == pixels
    assert before.items() <= inodes(site.output).items()
    assert file.read_bytes() == first
    assert log_checks.faults(str(site.output)) == []
    check(site.folder)


def test_convert_and_watch_take_turns_in_one_log(
    site: Site,  # noqa: F811
    started: Callable[..., Watch],  # noqa: F811
) -> None:
    output = site.output
    seen = {}

    def convert(name: str) -> None:
        shards, zips = sorted(site.arriving.glob("*.json")), sorted(site.arriving.glob("*.zip"))
        converted(shards, zips, output, "--keep-generations", "all")
        fresh = dataset.tree(converted(shards, zips, site.folder / name))
        found = dataset.tree(output)
        # Older generations have images of their own.
        assert all(path.startswith("images/") for path in found.keys() - fresh.keys())
        assert [path for path in fresh if found.get(path) != fresh[path]] == []
        remember()

    def remember() -> None:
        seen[dataset.manifest(output)["generation"]] = (
            log_checks.rows(str(output)),
            dataset.manifest(output)["counts"],
        )

    site.land_zip("a.zip", a=picture(seed=1))
    site.land_shard("a.json", image_record("a", "a.jpg"), image_record("later", "b.jpg"))
    site.land_shard("t.json", *(record(f"t{number}") for number in range(3)))
    convert("fresh-1")
    site.land_zip("b.zip", b=picture(seed=2))
    site.land_shard("b.json", image_record("b", "b.jpg"))
    site.land_zip("a.zip", a=picture(seed=9))
    watch = started("--stop-when-idle", "2s", "--image-wait", "2s")
    assert watch.process.wait(PATIENCE) == 0, watch.errors()
    check(site.folder)
    remember()
    site.land_shard("a.json", image_record("a2", "a.jpg"))
    write_zip(site.arriving / "b.zip", {"b.jpg": picture(seed=5)})
    convert("fresh-2")
    watch = started("--stop-when-idle", "1s")
    assert watch.process.wait(PATIENCE) == 0, watch.errors()

    commits = dataset.commits(output)
    assert [one["generation"] for one in commits] == list(range(1, len(commits) + 1))
    assert [one["previous"] for one in commits] == list(range(len(commits)))
    assert {one["lineage"] for one in commits} == {commits[0]["lineage"]}
    assert (commits[0]["command"], commits[-1]["command"]) == ("convert", "convert")
    assert {one["command"] for one in commits[1:-1]} == {"watch"}
    assert max(seen) == len(commits)
    for number, (rows, counts) in seen.items():
        assert log_checks.rows(str(output), number) == rows
        assert log.snapshot(str(output), number).counts == counts
    assert log_checks.faults(str(output)) == []
