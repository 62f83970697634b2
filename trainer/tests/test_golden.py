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
from mat_trainer.core.recipe import Data
from mat_trainer.core.subset import JSONL, columns, stages
from mat_trainer.dataset import images
from mat_trainer.dataset.entry import Entry, File, entries, registry, registry_faults
from mat_trainer.dataset.generations import read
from mat_trainer.dataset.progress import silent
from mat_trainer.dataset.resolve import resolve
from mat_trainer.dataset.source import Source
from mat_trainer.dataset.stage import StagedDataset, stage

pq = pytest.importorskip("pyarrow.parquet", reason="comes with the extra worker")

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
EXPECTED = {"batch", "watched", "grown", "rejects", "validation", "schemas"}
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


def staged(folder: Path, number: int, chosen: tuple[Entry, ...], cache: Path) -> StagedDataset:
    """A generation, verified, with the entries of one kind and format: train, and val if any."""
    names = {entry.split: entry.name for entry in chosen}
    data = Data(
        stage=stages(chosen[0].subset)[0],
        dataset=names.get("train") or names["val"],
        evaluation=names.get("val") if "train" in names else None,
    )
    return stage(f"{folder}@{number}", cache, data, show=silent)


@every_generation
def test_every_row_of_every_generation_is_read(folder: Path, number: int, tmp_path: Path) -> None:
    snapshot = read(Source(str(folder)), number)
    assert snapshot.number == number
    listed = images.usable(folder / table.path for table in snapshot.tables)
    table = {file.path: file for file in listed}
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries(snapshot.manifest).values():
        groups.setdefault((entry.subset, entry.format), []).append(entry)
    by_format: dict[tuple[str, str], list[list[Any]]] = {}
    for chosen in groups.values():
        found = staged(folder, number, tuple(chosen), tmp_path)
        assert {entry.name for entry in found.entries} == {entry.name for entry in chosen}
        for entry in found.entries:
            assert registry_faults((found.path / "dataset_info.json").read_bytes(), (entry,)) == []
            rows = list(rows_of(found.path, entry))
            assert len(rows) == entry.rows > 0
            for row in rows:
                assert set(row) - {"id"} == set(columns(entry.subset))
                assert ("id" in row) == ("noid" not in entry.subset)
                check_row(row, found, table)
            key = (entry.subset, entry.split)
            by_format.setdefault(key, []).append([shape(row) for row in rows])
    for kind, formats in by_format.items():
        first, *others = (sorted(rows, key=json.dumps) for rows in formats)
        assert all(first == other for other in others), kind


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
    return [names, *(row[column] for column in sorted(row) if column not in ("id", "images"))]


@every_dataset
def test_the_manifest_shows_the_newest_generation(folder: Path, tmp_path: Path) -> None:
    manifest = manifests.parse((folder / manifests.NAME).read_bytes())
    newest = read(Source(str(folder)), generations(folder)[-1])
    assert manifest.generation == newest.number
    assert manifest.parts == newest.manifest.parts
    known = entries(manifest)
    written = (folder / "dataset_info.json").read_bytes()
    assert registry_faults(written, tuple(known.values())) == []
    # The registry that staging writes is the one that beam-mat writes.
    assert json.loads(registry(tuple(known.values()))) == json.loads(written)
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
    staged = stage(str(copy), tmp_path / "cache", show=silent)
    assert all(list(rows_of(staged.path, entry)) for entry in staged.training)


def test_each_stage_trains_on_all_entries_that_fit_it(tmp_path: Path) -> None:
    for asked, names in (
        ("sft", "agents,agents_noid,agents_tools"),
        ("dpo", "agents_ranking,agents_ranking_noid"),
        ("rm", "agents_ranking,agents_ranking_noid"),
        ("kto", "agents_kto_tools"),
    ):
        for uri in (GOLDEN / "schemas", f"{GOLDEN / 'schemas'}@1"):
            found = stage(str(uri), tmp_path, Data(stage=asked), show=silent)
            assert found.name == names
            told = " ".join(found.choice.notices)
            others = {"agents", "agents_ranking", "agents_kto_tools"} - set(names.split(","))
            assert all(f"{name} is not trained on" in told for name in others), told
