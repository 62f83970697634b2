"""Small datasets with a manifest, made of rows of a real one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
GROUP_ROWS = 3


def rows_of(dataset: Path) -> list[Row]:
    """The rows of the entry `mat`."""
    parts = sorted(dataset.joinpath("jsonl").iterdir())
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


def make(dataset: Path, folder: Path, parts: Mapping[str, Sequence[Row]]) -> Path:
    """Writes parts in both formats, with the images that they name taken from `dataset`."""
    made = write_parts(dataset, folder, parts)
    paths = {path for rows in parts.values() for row in rows for path in row["images"]}
    images = copy_images(dataset, folder, paths)
    table = folder / "images.parquet"
    pq.write_table(pa.Table.from_pylist(images, pq.read_schema(dataset / table.name)), table)
    manifest = json.loads((dataset / "manifest.json").read_bytes())
    manifest |= {"parts": made, "image_table": part(folder, table, len(images))}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "dataset_info.json").write_bytes((dataset / "dataset_info.json").read_bytes())
    return folder


def write_parts(
    dataset: Path, folder: Path, parts: Mapping[str, Sequence[Row]]
) -> list[dict[str, Any]]:
    """Writes parts in both formats; returns what a manifest says of them."""
    schema = pq.read_schema(next(dataset.joinpath("parquet").iterdir()))
    made = []
    for name, rows in parts.items():
        lines = folder / "jsonl" / f"{name}.jsonl"
        lines.parent.mkdir(parents=True, exist_ok=True)
        lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
        groups = folder / "parquet" / f"{name}.parquet"
        groups.parent.mkdir(exist_ok=True)
        whole = [
            {**row, "images": [_image(dataset, folder, path) for path in row["images"]]}
            for row in rows
        ]
        pq.write_table(pa.Table.from_pylist(whole, schema), groups, row_group_size=GROUP_ROWS)
        made += [part(folder, path, len(rows)) for path in (lines, groups)]
    return made


def copy_images(dataset: Path, folder: Path, paths: Collection[str]) -> list[Row]:
    """Copies image files, as a new file each; returns their rows of the table of images."""
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes((dataset / path).read_bytes())
    known = pq.read_table(dataset / "images.parquet").to_pylist()
    return [row for row in known if row["file"] in paths]


def _image(dataset: Path, folder: Path, path: str) -> dict[str, Any]:
    own = folder / path  # an image that this test made
    return {"bytes": (own if own.exists() else dataset / path).read_bytes(), "path": path}


def part(folder: Path, path: Path, rows: int) -> dict[str, Any]:
    data = path.read_bytes()
    return {
        "path": str(path.relative_to(folder)),
        "format": path.suffix[1:],
        "split": "train",
        "rows": rows,
        "image_rows": 0,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
