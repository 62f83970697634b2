"""Reads the output of a conversion."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = dict[str, Any]

MANIFEST = "manifest.json"
HISTORY = ("_beam_mat/", "generations/", "replaced/")
"""Folders whose content depends on the history of a dataset."""


def manifest(output: Path) -> dict[str, Any]:
    """Returns the manifest."""
    found: dict[str, Any] = json.loads((output / "manifest.json").read_bytes())
    return found


def json_lines(file: Path) -> list[Row]:
    """Returns the rows of a file."""
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def lines(folder: Path) -> list[Row]:
    """Returns the rows of all files in a folder; none if there is no folder."""
    files = sorted(folder.iterdir()) if folder.exists() else []
    return [row for file in files for row in json_lines(file)]


def rows(output: Path, split: str = "train") -> list[Row]:
    """Returns the JSONL rows of a split."""
    return lines(output / ("jsonl" if split == "train" else f"jsonl_{split}"))


def parquet_rows(output: Path, split: str = "train") -> list[Row]:
    """Returns the Parquet rows of a split."""
    folder = output / ("parquet" if split == "train" else f"parquet_{split}")
    files = sorted(folder.iterdir()) if folder.exists() else []
    return [row for file in files for row in parquet_file_rows(file)]


def parquet_file_rows(file: Path) -> list[Row]:
    """The rows of a Parquet file."""
    return [*pq.ParquetFile(file).read().to_pylist()]


def rejects(output: Path) -> list[Row]:
    """Returns the rejected records."""
    return lines(output / "rejects")


def image_table(output: Path) -> dict[str, Row]:
    """Returns the rows of images.parquet, by path."""
    return {row["path"]: row for row in pq.read_table(output / "images.parquet").to_pylist()}


def image_files(output: Path) -> dict[str, Row]:
    """The rows of images.parquet that have a file, by file."""
    return {row["file"]: row for row in image_table(output).values() if row["file"]}


def images(output: Path) -> dict[str, bytes]:
    """Returns the usable images, by published path."""
    found = {path: row["file"] for path, row in image_table(output).items()}
    return {path: (output / file).read_bytes() for path, file in found.items() if file}


def commits(output: Path) -> list[dict[str, Any]]:
    """Returns the commits, in order."""
    files = sorted(output.glob("generations/[0-9]*[0-9].json"))
    return [json.loads(file.read_bytes()) for file in files]


def everything(output: Path) -> dict[str, bytes]:
    """Returns all files below a folder except work results, by relative path."""
    return {
        name: file.read_bytes()
        for file in sorted(output.rglob("*"))
        if not file.is_dir()
        and not (name := file.relative_to(output).as_posix()).startswith("_beam_mat/")
    }


def content(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the files that do not depend on the history of a dataset.

    Leaves out the log and files of older generations, and removes the generation's number from the
    manifest.

    Args:
        files: Files from `everything`.
    """
    found = {name: data for name, data in files.items() if not name.startswith(HISTORY)}
    if MANIFEST in found:
        found[MANIFEST] = re.sub(rb'  "generation": \d+,\n', b"", found[MANIFEST])
    return found


def tree(output: Path) -> dict[str, bytes]:
    """Returns the files of a folder that do not depend on the history; see `content`."""
    return content(everything(output))
