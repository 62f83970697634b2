import json
from pathlib import Path

import fsspec
import pytest

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import Manifest
from mat_trainer.dataset import source
from mat_trainer.dataset.resolve import resolve

PART = {
    "path": "jsonl/a.jsonl",
    "format": "jsonl",
    "split": "train",
    "rows": 3,
    "image_rows": 1,
    "bytes": 9,
    "sha256": "00",
}


def manifest(**changes: object) -> bytes:
    known = {"format": 3, "generation": 1, "command": "convert", "parts": [PART]}
    return json.dumps({**known, "image_table": None, **changes}).encode()


def read(uri: str) -> Manifest:
    return resolve(uri).manifest


def test_a_manifest_is_read_wherever_fsspec_reaches(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest())
    fsspec.filesystem("memory").pipe_file("/there/manifest.json", manifest())
    here, there = read(str(tmp_path)), read("memory://there/")
    assert here == there == read(tmp_path.as_uri())
    assert here.parts[0].rows == 3


def test_the_name_of_the_entries_is_read_and_mat_if_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest(configuration={"name": "agents", "x": 1}))
    assert read(str(tmp_path)).name == "agents"
    (tmp_path / "manifest.json").write_bytes(manifest())
    assert read(str(tmp_path)).name == "mat"


def test_rows_of_a_later_version_are_refused(tmp_path: Path) -> None:
    parts = [{**PART, "subset": "ranking_noid"}, {**PART, "path": "v/1", "subset": "video_noid"}]
    (tmp_path / "manifest.json").write_bytes(manifest(parts=parts))
    with pytest.raises(ConfigError) as caught:
        read(str(tmp_path))
    assert caught.value.faults == (
        "manifest.json has rows of the unknown kind 'video_noid': install the mat-trainer of the "
        "beam-mat that wrote the dataset",
    )


@pytest.mark.parametrize("uri", ["memory://nothing/here", "nothing/here"])
def test_without_a_manifest_there_is_no_dataset(uri: str) -> None:
    with pytest.raises(
        ConfigError, match=r"no manifest\.json here, so this is not a finished dataset"
    ):
        read(uri)


def test_a_file_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(ConfigError, match="not a finished dataset"):
        read(str(tmp_path / "a.zip"))


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(ConfigError, match="nope://a: Protocol not known"):
        read("nope://a")


def test_a_missing_driver_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(uri: str) -> None:
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(source, "url_to_fs", missing)
    with pytest.raises(ConfigError, match=r"gcsfs.*pip install 'mat-trainer\[gcp\]'"):
        read("gs://bucket/mat")


def test_what_a_driver_says_comes_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: object, path: str) -> bytes:
        raise RuntimeError("GET https://me:secret@host/x?signature=hidden: 403")

    monkeypatch.setattr(source.Source, "read", failing)
    with pytest.raises(ConfigError) as caught:
        read("memory://a")
    assert "RuntimeError: GET https://host/x" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("path", ["../a.jsonl", "/etc/passwd", "a//b", "a\\b", "C:/a", "a/./b", ""])
def test_paths_that_lead_elsewhere_are_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest(parts=[{**PART, "path": path}]))
    with pytest.raises(ConfigError, match="leads out of the dataset's folder"):
        read(str(tmp_path))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"format": 3, "parts": 3}'])
def test_what_is_no_manifest_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(ConfigError, match="not a file of beam-mat"):
        read(str(tmp_path))


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest(format=2))
    with pytest.raises(ConfigError, match="has format 2, but this mat-trainer reads format 3"):
        read(str(tmp_path))
