"""The views show the newest generation, and the manifest comes last."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.settings import FORMAT
from beam_mat.dataset import image_table, views
from beam_mat.dataset.commit import WATCH, Snapshot
from beam_mat.storage import files
from tests.dataset.made import (
    commit,
    content,
    images,
    put,
    shard,
    source,
    table_of,
    there,
)


@pytest.fixture
def snapshot(root: str) -> Snapshot:
    table = images(root, {"a.png": "images/a.1.png"})
    found = Snapshot()
    shards = [shard("b", order=0), shard("a", order=1, rejected=1)]
    found.apply(commit(root, content(shards, [table], [source("x")]), command=WATCH))
    return found


def test_the_manifest_shows_the_snapshot(root: str, snapshot: Snapshot) -> None:
    made = views.write(root, snapshot, None)
    assert views.read_manifest(root) == made
    assert (made.format, made.generation, made.command) == (FORMAT, 1, "watch")
    assert [one.uri for one in made.inputs.json] == ["/in/b.json", "/in/a.json"]
    assert [one.uri for one in made.inputs.images] == ["/in/x.zip"]
    assert list(made.parts) == snapshot.parts()
    assert list(made.rejects) == snapshot.rejects()
    assert made.counts == snapshot.counts
    assert made.files() == (made.image_table, *made.parts, *made.rejects)
    data = files.read_bytes(files.join(root, made.image_table.path))
    assert (made.image_table.path, made.image_table.bytes) == (layout.IMAGE_TABLE, len(data))


def test_the_registry_names_the_folders(root: str, snapshot: Snapshot) -> None:
    views.write(root, snapshot, None)
    registry: dict[str, Any] = json.loads(files.read_bytes(files.join(root, layout.DATASET_INFO)))
    assert {name: entry["file_name"] for name, entry in registry.items()} == {"mat": "jsonl"}


def test_writing_again_writes_the_same_bytes(root: str, snapshot: Snapshot) -> None:
    paths = (layout.MANIFEST, layout.DATASET_INFO, layout.IMAGE_TABLE)
    views.write(root, snapshot, None)
    before = [files.read_bytes(files.join(root, path)) for path in paths]
    views.write(root, snapshot, None)
    assert [files.read_bytes(files.join(root, path)) for path in paths] == before


def test_the_manifest_comes_last(
    root: str, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def watched(name: str) -> Any:
        function = getattr(files, name)

        def write(uri: str, *arguments: object) -> Any:
            written.append(uri.removeprefix(f"{root}/"))
            return function(uri, *arguments)

        return write

    def report(output: str, shown: views.Manifest, found: Snapshot) -> None:
        assert (output, shown.generation, found) == (root, 1, snapshot)
        assert views.read_manifest(root) is None
        put(root, layout.REPORT)

    for name in ("write", "write_bytes"):
        monkeypatch.setattr(files, name, watched(name))
    views.write(root, snapshot, report)
    assert written[-1] == layout.MANIFEST
    assert set(written) == {
        layout.DATASET_INFO,
        layout.IMAGE_TABLE,
        layout.REPORT,
        layout.MANIFEST,
    }


def test_a_report_that_cannot_be_made_is_no_obstacle(
    root: str, snapshot: Snapshot, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("no charts")

    assert views.write(root, snapshot, fail).generation == 1
    assert f"{root}: the report could not be written: no charts" in caplog.text
    assert views.read_manifest(root) is not None


def test_views_are_withdrawn(root: str, snapshot: Snapshot) -> None:
    views.write(root, snapshot, lambda *_: put(root, layout.REPORT))
    put(root, layout.STATISTICS)
    data = there(root, layout.GENERATIONS, *layout.FLAT_FOLDERS)
    views.withdraw(root)
    assert there(root) - there(root, layout.WORK) == data | {"images/a.1.png"}
    views.withdraw(root)  # of nothing


def test_rows_in_memory_are_used(tmp_path: Path) -> None:
    output = str(tmp_path)
    first, second = (images(output, {"a.png": f"images/a.{number}.png"}) for number in "12")
    found = Snapshot()
    found.apply(commit(output, content([shard("a")], [first, second])))
    rows = image_table.read(output, [first, second])
    views.write(output, found, None)
    read = (tmp_path / layout.IMAGE_TABLE).read_bytes()
    views.write(output, found, None, rows)
    assert (tmp_path / layout.IMAGE_TABLE).read_bytes() == read
    shown = pq.read_table(tmp_path / layout.IMAGE_TABLE)
    assert shown.to_pylist() == table_of({"a.png": "images/a.2.png"}).to_pylist()


def test_without_a_dataset_there_is_no_manifest(root: str) -> None:
    assert views.read_manifest(root) is None


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format": 3}', b'{"format": 3, "generation'])
def test_a_manifest_that_cannot_be_read_is_named(root: str, data: bytes) -> None:
    put(root, layout.MANIFEST, data)
    uri = re.escape(files.join(root, layout.MANIFEST))
    with pytest.raises(ConfigError, match=f"^{uri}: this version of beam-mat cannot read this man"):
        views.read_manifest(root)


@pytest.mark.parametrize("format", [2, 4])
def test_a_manifest_of_another_layout_is_named(root: str, format: int) -> None:
    put(root, layout.MANIFEST, b'{"format": %d, "more": "unknown"}' % format)
    with pytest.raises(
        ConfigError,
        match=f"manifest.json: has layout version {format}, but this version of beam-mat uses 3",
    ):
        views.read_manifest(root)
