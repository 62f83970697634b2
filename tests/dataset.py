"""Reading what a conversion wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = dict[str, Any]


def manifest(output: Path) -> dict[str, Any]:
    """The manifest."""
    found: dict[str, Any] = json.loads((output / "manifest.json").read_bytes())
    return found


def json_lines(file: Path) -> list[Row]:
    """The rows of a file."""
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def lines(folder: Path) -> list[Row]:
    """The rows of a folder of JSON Lines, file by file; none where there is no folder."""
    files = sorted(folder.iterdir()) if folder.exists() else []
    return [row for file in files for row in json_lines(file)]


def rows(output: Path, split: str = "train") -> list[Row]:
    """The JSONL rows of a split."""
    return lines(output / ("jsonl" if split == "train" else f"jsonl_{split}"))


def parquet_rows(output: Path, split: str = "train") -> list[Row]:
    """The Parquet rows of a split."""
    folder = output / ("parquet" if split == "train" else f"parquet_{split}")
    files = sorted(folder.iterdir()) if folder.exists() else []
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def rejects(output: Path) -> list[Row]:
    """The rejected records."""
    return lines(output / "rejects")


def image_table(output: Path) -> dict[str, Row]:
    """The rows of images.parquet by path."""
    return {row["path"]: row for row in pq.read_table(output / "images.parquet").to_pylist()}


def tree(output: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative path; not what jobs note for each other."""
    return {
        name: file.read_bytes()
        for file in sorted(output.rglob("*"))
        if not file.is_dir()
        and not (name := file.relative_to(output).as_posix()).startswith("_beam_mat/")
    }
