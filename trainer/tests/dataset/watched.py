"""A dataset that grows by generations, as `beam-mat watch` writes it, with rows of a real one."""

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
        self._lineage = ""
        self._tables: list[Part] = []
        self._images: dict[str, Row] = {}
        folder.joinpath("generations").mkdir(parents=True)

    def commit(
        self, add: Mapping[str, Sequence[Row]] | None = None, remove: Sequence[str] = ()
    ) -> int:
        """Adds parts, and removes others; both by name, in both formats."""
        removed = [part for part in self.live.values() if Path(part["path"]).stem in remove]
        for part in removed:
            self._replace(part)
        added = making.write_parts(self._dataset, self.folder, add or {})
        files = {path for rows in (add or {}).values() for row in rows for path in row["images"]}
        known = {row["file"] for row in self._images.values()}
        made = making.copy_images(self._dataset, self.folder, files - known)
        return self._commit(added, removed, made)

    def change_image(self, file: str, data: bytes) -> str:
        """Gives a published path other bytes, in a generation of its own.

        Every part with a row that has the image is replaced. Returns the new image file.
        """
        row = next(row for row in self._images.values() if row["file"] == file)
        digest = hashlib.sha256(data).hexdigest()
        stem, _, suffix = file.rsplit(".", 2)
        new = {**row, "file": f"{stem}.{digest[:16]}.{suffix}", "bytes": len(data)}
        (self.folder / new["file"]).write_bytes(data)
        added, removed = [], []
        for part in list(self.live.values()):
            path = self.folder / part["path"]
            if part["format"] == "jsonl" and file in path.read_text():
                rows = [json.loads(line) for line in path.read_text().splitlines()]
                for one in rows:
                    one["images"] = [new["file"] if at == file else at for at in one["images"]]
                name = f"{path.stem}-{digest[:4]}"
                added += making.write_parts(self._dataset, self.folder, {name: rows})
                removed += [p for p in self.live.values() if Path(p["path"]).stem == path.stem]
        for part in removed:
            self._replace(part)
        self._commit(added, removed, [{**new, "sha256": digest}])
        return str(new["file"])

    def checkpoint(self) -> None:
        """Writes the file that stands for all commits until now."""
        name = f"generations/{self.number:06}-whole.images.parquet"
        table = self._table(name, list(self._images.values()))
        self._tables = [table]
        self._write(
            f"{self.number:06}.checkpoint.json",
            {"previous": 0, "parts": _added(list(self.live.values())), "images": _added([table])},
        )

    def vacuum(self, keep: int) -> None:
        """Deletes the log before the newest `keep` generations, and what only that needs."""
        for number in range(1, self.number - keep + 1):
            self.folder.joinpath("generations", f"{number:06}.json").unlink(missing_ok=True)

    def publish(self) -> None:
        """Has the manifest follow."""
        manifest = json.loads((self._dataset / "manifest.json").read_bytes())
        parts = list(self.live.values())
        manifest |= {"parts": parts, "generation": self.number, "command": "watch"}
        self.folder.joinpath("manifest.json").write_text(json.dumps(manifest))

    def _commit(self, added: list[Part], removed: list[Part], images: list[Row]) -> int:
        self.number += 1
        self.live |= {part["path"]: part for part in added}
        if not self._lineage:
            self._lineage = hashlib.sha256(json.dumps(added).encode()).hexdigest()
        self._images |= {row["path"]: row for row in images}
        tables = []
        if images:
            tables = [self._table(f"generations/{self.number:06}-0a1b.images.parquet", images)]
        self._tables += tables
        self._write(
            f"{self.number:06}.json",
            {
                "previous": self.number - 1,
                "parts": {"added": added, "removed": removed},
                "images": _added(tables),
            },
        )
        self.publish()
        return self.number

    def _replace(self, part: Part) -> None:
        target = self.folder / "replaced" / part["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / part["path"]).rename(target)
        del self.live[part["path"]]

    def _table(self, name: str, rows: Sequence[Row]) -> Part:
        schema = pq.read_schema(self._dataset / "images.parquet")
        pq.write_table(pa.Table.from_pylist(list(rows), schema), self.folder / name)
        return making.part(self.folder, self.folder / name, len(rows))

    def _write(self, name: str, changes: dict[str, Any]) -> None:
        commit = {
            "format": 3,
            "generation": self.number,
            "command": "watch",
            "fingerprint": self._lineage,
            "lineage": self._lineage,
            "keep": None,
            "made_by": {},
            "configuration": {},
            "shards": _added([]),
            "sources": _added([]),
            "rejects": _added([]),
            "mixes": _added([]),
            "counts": {},
            **changes,
        }
        self.folder.joinpath("generations", name).write_text(json.dumps(commit))


def _added(things: list[Any]) -> dict[str, list[Any]]:
    return {"added": things, "removed": []}
