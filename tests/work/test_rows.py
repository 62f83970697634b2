"""Rows one by one, out of every kind of data file."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_mat.core.contract.unit import DatasetFile
from beam_mat.core.errors import SourceError
from beam_mat.work import rows as storage_rows
from beam_mat.work.rows import lines, rows

ROWS = [{"id": "a", "n": 1}, {"id": 2, "n": 2}, {"n": 3}, {"id": "ä\ud83d\ude00", "n": 4}]
IDS = ["a", "2", "", "ä\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")]


def data_file(path: Path, type: str = "json") -> DatasetFile:
    return DatasetFile(0, 0, str(path), path.stat().st_size, "", type)


@pytest.mark.parametrize("layout", ["lines", "array"])
def test_json(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "rows.json"
    whole = [json.dumps(row) for row in ROWS]
    path.write_text("\n\n".join(whole) + "\n" if layout == "lines" else f"[{', '.join(whole)}]")
    found = list(rows(data_file(path)))
    assert [row.index for row in found] == [0, 1, 2, 3]
    assert [row.id for row in found] == IDS
    assert [row.load()["n"] for row in found] == [1, 2, 3, 4]  # type: ignore[index]


def test_parquet_row_by_row_over_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    table = pa.table({"id": [f"{n}" for n in range(50)], "data": [bytes([n]) for n in range(50)]})
    pq.write_table(table, path, row_group_size=20)
    for row in rows(data_file(path, "parquet")):
        assert row.id == str(row.index)
        if row.index % 7 == 0:
            assert row.load() == {"id": row.id, "data": bytes([row.index])}
    assert row.index == 49


def test_a_parquet_file_without_ids(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"n": [1, 2]}), path)
    assert [(row.id, row.load()) for row in rows(data_file(path, "parquet"))] == [
        ("", {"n": 1}),
        ("", {"n": 2}),
    ]


def test_what_is_broken_is_told_when_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": "a"}\n{"id": "b"\n{"id": "c"}\n')
    first, second, third = rows(data_file(path))
    assert (first.load(), third.load()) == ({"id": "a"}, {"id": "c"})
    with pytest.raises(SourceError, match=r"rows\.jsonl row 1: is not valid JSON .*replace"):
        second.load()


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.json", b"\x1f\x8b--", "compressed with gzip; decompress it first; run beam-mat check"),
        ("a.json", b"<html>", "not JSON"),
        ("a.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
    ],
)
def test_files_that_cannot_be_read_are_named(
    tmp_path: Path, name: str, data: bytes, why: str
) -> None:
    (tmp_path / name).write_bytes(data)
    file = data_file(tmp_path / name, "parquet" if name.endswith("parquet") else "json")
    with pytest.raises(SourceError, match=f"{tmp_path}/{name}: .*{why}"):
        list(rows(file))


def test_a_line_without_end_is_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_rows, "MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'"' + b"x" * (4 << 20))
    with pytest.raises(SourceError, match="a line is longer than 1 MiB"):
        list(lines(str(path), path.stat().st_size))
