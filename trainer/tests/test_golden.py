"""The golden datasets of beam-mat: every generation, every row and every image is readable here.

They hold what the two distributions must agree on, since they share no code.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mat_trainer.core import generation as core
from mat_trainer.core import manifest as manifests
from mat_trainer.dataset import images
from mat_trainer.dataset.entry import JSONL, Entry, File, entries, registry_faults
from mat_trainer.dataset.generations import read
from mat_trainer.dataset.progress import silent
from mat_trainer.dataset.resolve import resolve
from mat_trainer.dataset.source import Source
from mat_trainer.dataset.stage import StagedDataset, stage

pq = pytest.importorskip("pyarrow.parquet", reason="comes with the extra worker")

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
EXPECTED = {"batch", "watched", "grown", "rejects", "validation"}
FOLDERS = sorted(path.parent for path in GOLDEN.glob("*/manifest.json"))
ROLES = {"user", "assistant", "observation", "function_call", "system"}


def generations(folder: Path) -> list[int]:
    """Every number that ``generations/`` names, by a commit or a checkpoint."""
    commits, checkpoints = core.numbers([path.name for path in (folder / core.FOLDER).iterdir()])
    return sorted(commits | checkpoints)


CASES = [(folder, number) for folder in FOLDERS for number in generations(folder)]
every_generation = pytest.mark.parametrize(
    ("folder", "number"), CASES, ids=[f"{folder.name}@{number}" for folder, number in CASES]
)
every_dataset = pytest.mark.parametrize("folder", FOLDERS, ids=[path.name for path in FOLDERS])


def test_there_are_golden_datasets() -> None:
    names = {folder.name for folder in FOLDERS}
    assert names >= EXPECTED, f"{GOLDEN} lacks {', '.join(sorted(EXPECTED - names))}"


def rows_of(folder: Path, entry: Entry) -> Iterator[dict[str, Any]]:
    for part in entry.parts:
        path = folder / part.path
        if entry.format == JSONL:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        else:
            rows = pq.read_table(path).to_pylist()
        assert len(rows) == part.rows, path
        yield from rows


def staged(folder: Path, number: int, name: str, cache: Path) -> StagedDataset:
    """A generation, verified; with both entries of a format where there are two."""
    evaluation = f"{name}_val"
    known = entries(read(Source(str(folder)), number).manifest)
    uri = f"{folder}@{number}"
    return stage(uri, cache, name, evaluation if evaluation in known else None, show=silent)


@every_generation
def test_every_row_of_every_generation_is_read(folder: Path, number: int, tmp_path: Path) -> None:
    snapshot = read(Source(str(folder)), number)
    assert snapshot.number == number
    listed = images.usable(folder / table.path for table in snapshot.tables)
    table = {file.path: file for file in listed}
    by_format: dict[str, list[list[Any]]] = {}
    for format in sorted({part.format for part in snapshot.manifest.parts}):
        name = "mat" if format == JSONL else f"mat_{format}"
        found = staged(folder, number, name, tmp_path)
        for entry in found.entries:
            assert registry_faults((found.path / "dataset_info.json").read_bytes(), (entry,)) == []
            rows = list(rows_of(found.path, entry))
            assert len(rows) == entry.rows
            for row in rows:
                check_row(row, found, table)
            by_format.setdefault(entry.split, []).append([shape(row) for row in rows])
    for split, formats in by_format.items():
        first, *others = (sorted(rows, key=json.dumps) for rows in formats)
        assert all(first == other for other in others), split


def check_row(row: dict[str, Any], found: StagedDataset, table: dict[str, File]) -> None:
    """Turns, and each image: its file, its bytes, and its row of the table of images."""
    assert row["messages"]
    assert {turn["role"] for turn in row["messages"]} <= ROLES
    tokens = sum(turn["content"].count("<image>") for turn in row["messages"])
    assert tokens == len(row["images"] or [])
    for image in row["images"] or []:
        name, data = (image["path"], image["bytes"]) if isinstance(image, dict) else (image, None)
        data = data or (found.media_dir / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (
            table[name].bytes,
            table[name].sha256,
        ), name
        assert hashlib.sha256(data).hexdigest()[:16] == name.rsplit(".", 2)[1]


def shape(row: dict[str, Any]) -> list[Any]:
    """What a row says in either format."""
    names = [image["path"] if isinstance(image, dict) else image for image in row["images"] or []]
    return [row["messages"], row["system"], names]


@every_dataset
def test_the_manifest_shows_the_newest_generation(folder: Path, tmp_path: Path) -> None:
    manifest = manifests.parse((folder / manifests.NAME).read_bytes())
    newest = read(Source(str(folder)), generations(folder)[-1])
    assert manifest.generation == newest.number
    assert manifest.parts == newest.manifest.parts
    registry = (folder / "dataset_info.json").read_bytes()
    assert registry_faults(registry, tuple(entries(manifest).values())) == []
    assert manifest.image_table
    listed = images.usable([folder / manifest.image_table.path])
    tables = images.usable(folder / table.path for table in newest.tables)
    assert sorted(file.path for file in listed) == sorted(file.path for file in tables)


@every_dataset
def test_a_plain_address_is_trained_on(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mat"
    shutil.copytree(folder, copy)
    found = resolve(str(copy))
    assert (found.snapshot is None) == (found.manifest.command == "convert")
    assert found.lineage == read(Source(str(folder)), found.manifest.generation).lineage != ""
    rows = list(rows_of(stage(str(copy), tmp_path / "cache", show=silent).path, entry_of(copy)))
    assert rows


def entry_of(folder: Path) -> Entry:
    known = entries(manifests.parse((folder / manifests.NAME).read_bytes()))
    return known.get("mat") or known["mat_parquet"]
