"""Pieces of a file are known by their names, in the order in which programs write them."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from beam_mat.core.split_name import disk_name, missing_piece, piece_name, zip_of_disk


@pytest.mark.parametrize(
    ("name", "stem", "count"),
    [
        ("images.zip.part_aa", "images.zip.part_", "aa"),
        ("images.zip.partaa", "images.zip.part", "aa"),
        ("images.zip.part-00", "images.zip.part-", "00"),
        ("images.part.ab", "images.part.", "ab"),
        ("images.tar.gz.001", "images.tar.gz.", "001"),
        ("images.tgz.aa", "images.tgz.", "aa"),
        ("images.zip_aa", "images.zip_", "aa"),
        ("IMAGES.ZIP.002", "IMAGES.ZIP.", "002"),
        ("images.7z.001", "images.7z.", "001"),
    ],
)
def test_the_names_of_pieces(name: str, stem: str, count: str) -> None:
    found = piece_name(name)
    assert found
    assert (found.stem, found.count) == (stem, count)


@pytest.mark.parametrize(
    "name",
    [
        *("images.zip", "images.tar.gz", "images.tar", "part_aa", "part_01.zip", "images.aa"),
        *("images.z01", "images.part1.rar", "images.zip.tar", "images.tar.xz", "a.zip.sha256"),
        "images.part.zip",
    ],
)
def test_the_names_of_whole_files(name: str) -> None:
    assert piece_name(name) is None


@pytest.mark.parametrize(
    ("counts", "missing"),
    [
        ("aa", None),
        ("aa ab ac", None),
        ("aa ac", "ab"),
        ("ab ac", "aa"),
        ("000 001", None),
        ("001 002", None),
        ("001 003", "002"),
        ("002", "001"),
        ("1 2 3", None),
        ("9 10", "1"),
        ("AA AB AD", "AC"),
        ("00 01 03", "02"),
        ("zz zaaa", "aa"),
    ],
)
def test_a_missing_piece_is_named(counts: str, missing: str | None) -> None:
    assert missing_piece(counts.split()) == missing


@pytest.mark.parametrize("options", [["-a2"], [], ["-d"], ["--numeric-suffixes=1", "-a3"]])
def test_the_counts_of_split_follow_each_other(tmp_path: Path, options: list[str]) -> None:
    pieces = 700 if options == [] or "-d" in options else 600
    (tmp_path / "f").write_bytes(b"x" * pieces)
    subprocess.run(["split", *options, "-b1", "f", "f.zip.part_"], cwd=tmp_path, check=True)
    names = [name for path in tmp_path.iterdir() if (name := piece_name(path.name))]
    assert len(names) == pieces
    counts = [name.count for name in sorted(names, key=lambda name: name.order)]
    assert missing_piece(counts) is None
    for at in (0, 1, 88, 89, 90, 300, 597):
        assert missing_piece([*counts[:at], *counts[at + 1 :]]) == (
            counts[at] if at else missing_piece(counts[1:])
        )


def test_disks_and_their_zip_name_each_other() -> None:
    for zip_name, number in itertools.product(["a.zip", "A.ZIP"], [0, 8, 98, 99, 200]):
        assert zip_of_disk(disk_name(zip_name, number)) == zip_name
    assert zip_of_disk("a.zip") is None
