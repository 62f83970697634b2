"""The entries of any dataset_info.json, and their files. test_check and test_show have more."""

from __future__ import annotations

from pathlib import Path

import pytest

from beam_mat.core.contract.finding import Finding, Kind
from beam_mat.core.errors import ConfigError
from beam_mat.dataset import entries


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000])
def test_what_is_not_an_object_is_a_value_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset_info.json").write_text(text)
    with pytest.raises(ValueError, match=r"."):
        entries.read(f"{tmp_path}/dataset_info.json")


def test_an_entry_is_chosen_by_its_name() -> None:
    known: dict[str, object] = {"a": {}, "b": {}}
    assert entries.named(known, None, "info") == known
    assert entries.named(known, "b", "info") == {"b": {}}
    with pytest.raises(ConfigError, match="--name c: info has no such entry; it has a, b"):
        entries.named(known, "c", "info")


@pytest.mark.parametrize(
    ("file_name", "names", "kinds"),
    [
        ("rows.jsonl", ["rows.jsonl"], []),
        (".", ["rows.jsonl"], [Kind.FOLDER_MIXED] * 4),
        ("sub/", ["a.parquet"], []),
        ("README", [], [Kind.FILE_TYPE_UNKNOWN]),
        ("none.json", [], [Kind.FILE_NOT_FOUND]),
        ("file:///etc/hostname", [], [Kind.FILE_NOT_FOUND]),
        ("", [], [Kind.FILE_NOT_FOUND]),
    ],
)
def test_files_of_an_entry(
    tmp_path: Path, file_name: str, names: list[str], kinds: list[Kind]
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("rows.jsonl", "t.csv", "README", "sub/a.parquet"):
        (tmp_path / name).write_text("")
    findings: list[Finding] = []
    found = entries.files_of(str(tmp_path), file_name, findings)
    readable = entries.checked_files(3, found)
    assert [Path(file.uri).name for file in readable] == names
    assert all(file.entry == 3 for file in readable)
    assert [finding.kind for finding in findings] == kinds
