"""A dataset that grows by generations as `beam-mat watch` writes them, of a real one's rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.dataset import making
from tests.dataset.making import Row

Part = dict[str, Any]


class Watched:
    """The writer's side. Each call of `commit` makes one generation."""

    def __init__(self, dataset: Path, folder: Path) -> None:
        self._dataset = dataset
        self.folder = folder
        self.number = 0
        self.live: dict[str, Part] = {}
        self._images: dict[str, Row] = {}
        folder.joinpath("generations").mkdir(parents=True)

    def commit(
        self, add: Mapping[str, Sequence[Row]] | None = None, remove: Sequence[str] = ()
    ) -> int:
        """Adds parts, and takes others away; both by name, in both formats."""
        self.number += 1
        removed = [part for part in self.live.values() if Path(part["path"]).stem in remove]
        for part in removed:
            self._replace(part)
        added = making.write_parts(self._dataset, self.folder, add or {})
        self.live |= {part["path"]: part for part in added}
        paths = {path for rows in (add or {}).values() for row in rows for path in row["images"]}
        new = {path for path in paths if path not in self._images}
        making.copy_images(self._dataset, self.folder, new)
        table = None
        if new:
            name = f"generations/{self.number:06}.images.parquet"
            table = making.write_table(self._dataset, self.folder, name, new)
            self._note(name)
        self._write(f"{self.number:06}.json", added, removed, table)
        self.publish()
        return self.number

    def change_image(self, path: str, data: bytes) -> int:
        """Gives an image other bytes, in a generation of its own."""
        self.number += 1
        (self.folder / path).unlink()
        (self.folder / path).write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        self._images[path] = {**self._images[path], "bytes": len(data), "sha256": sha256}
        table = self._table(f"generations/{self.number:06}.images.parquet", [self._images[path]])
        self._write(f"{self.number:06}.json", [], [], table)
        self.publish()
        return self.number

    def snapshot(self) -> None:
        """Writes what stands for all generations until now."""
        name = f"generations/{self.number:06}.whole.images.parquet"
        table = self._table(name, list(self._images.values()))
        self._write(f"{self.number:06}.whole.json", list(self.live.values()), [], table)

    def publish(self) -> None:
        """Has the manifest follow."""
        manifest = json.loads((self._dataset / "manifest.json").read_bytes())
        manifest |= {"parts": list(self.live.values()), "generation": self.number}
        self.folder.joinpath("manifest.json").write_text(json.dumps(manifest))

    def _replace(self, part: Part) -> None:
        target = self.folder / "replaced" / part["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / part["path"]).rename(target)
        del self.live[part["path"]]

    def _note(self, name: str) -> None:
        rows = pq.read_table(self.folder / name).to_pylist()
        self._images |= {f"images/{row['path']}": row for row in rows}

    def _table(self, name: str, rows: Sequence[Row]) -> Part:
        schema = pq.read_schema(self._dataset / "images.parquet")
        pq.write_table(pa.Table.from_pylist(list(rows), schema), self.folder / name)
        return making.part(self.folder, self.folder / name, len(rows))

    def _write(
        self, name: str, added: Sequence[Part], removed: Sequence[Part], images: Part | None
    ) -> None:
        told = {
            "format": 1,
            "generation": self.number,
            "shards": [],
            "parts": {"added": added, "removed": removed},
            "rejects": {"added": [], "removed": []},
            "images": images,
            "counts": {},
        }
        self.folder.joinpath("generations", name).write_text(json.dumps(told))
