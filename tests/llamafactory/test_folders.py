"""Every reader of a flat folder finds each row once, whatever the shards are called."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars
import pyarrow.dataset
import pytest

from tests import outputs as dataset
from tests.command import converted
from tests.making import image_record, picture, record, write_shard, write_zip

NAMES = (
    "mat_train",
    "train",
    "training-valid.dev",
    "My Test-EVAL 2017train2018",
    "test-00000-of-00002",
    "evaluation_val",
    "_validation",
    "图片 train",
)
FOLDERS = ("jsonl", "parquet", "jsonl_val", "parquet_val")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The folders above it must not decide either.
    folder = tmp_path_factory.mktemp("test") / "train" / "data"
    archive = write_zip(folder / "files.zip", {"a.jpg": picture()})
    shards = []
    for number, name in enumerate(NAMES):
        records = [image_record(f"{number} {row}", "a.jpg") for row in range(8)]
        records += [record(f"{number} text {row}") for row in range(3)]
        shards.append(write_shard(folder / f"{name}.json", [*records, {"id": "rejected"}]))
    return converted(shards, archive, folder / "out", "--val-fraction", "0.4")


def ids(output: Path, split: str) -> list[str]:
    """The ids of a split, by the lists of parts in the manifest."""
    parts = [part for part in dataset.manifest(output)["parts"] if part["split"] == split]
    lines = (dataset.json_lines(output / one["path"]) for one in parts if one["format"] == "jsonl")
    found = sorted(row["id"] for rows in lines for row in rows)
    assert len(set(found)) == len(found) > 20
    assert sum(part["rows"] for part in parts if part["format"] == "parquet") == len(found)
    return found


def split_of(folder: str) -> str:
    return "val" if folder.endswith("_val") else "train"


@pytest.mark.llamafactory
def test_datasets_reads_each_row_once(output: Path, its_python: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("load_folders.py")
    ran = subprocess.run(
        [its_python, script, output, *FOLDERS],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(ran.stdout)
    assert len(found) == 9 * len(FOLDERS)
    for way, splits in found.items():
        folder, _, how = way.partition(": ")
        # The loader takes the name of the split from the files if it lists them itself.
        listed = how in ("data_dir", "a relative path") or how.startswith("the folder's path")
        name = "validation" if listed and split_of(folder) == "val" else "train"
        assert splits == {name: ids(output, split_of(folder))}, way


def readers(folder: Path) -> Iterator[list[str]]:
    """The ids that other libraries find in a folder."""
    kind = folder.name.partition("_")[0]
    format = {"jsonl": "json"}.get(kind, kind)
    yield pyarrow.dataset.dataset(folder, format=format).to_table(["id"])["id"].to_pylist()
    scan = polars.scan_ndjson if kind == "jsonl" else polars.scan_parquet
    yield scan(folder / f"*.{kind}").select("id").collect()["id"].to_list()
    read = "read_json_auto" if kind == "jsonl" else "read_parquet"
    for pattern in (f"{folder}/*", f"{folder}/**/*.{kind}"):
        rows = duckdb.connect().execute(f"select id from {read}(?)", [pattern]).fetchall()
        yield [id for (id,) in rows]


@pytest.mark.parametrize("folder", FOLDERS)
def test_arrow_polars_and_duckdb_read_each_row_once(output: Path, folder: str) -> None:
    for found in readers(output / folder):
        assert sorted(found) == ids(output, split_of(folder))


def test_arrow_reads_each_reject_once(output: Path) -> None:
    rejects = pyarrow.dataset.dataset(output / "rejects", format="json").to_table(["source"])
    assert len(rejects) == len(NAMES)
