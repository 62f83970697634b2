"""Data files: cut where their readers cut them, and read row by row, whatever bytes they hold."""

from __future__ import annotations

import io
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beam_mat.core.contract import unit as units_of
from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.examine import Examiner, Rules, look
from beam_mat.core.contract.finding import Kind
from beam_mat.core.contract.unit import DatasetFile, FileNote, Unit, UnitNote
from beam_mat.core.errors import SourceError
from beam_mat.storage import files
from beam_mat.work import data_files as dataset
from beam_mat.work.data_files import lines as lines_of
from beam_mat.work.data_files import rows
from tests.properties import examples
from tests.rows import COLUMNS, TAGS, array, inside, lines, parquet, seen, text

ENTRY = Entry("d", "d", COLUMNS, TAGS)


def examined(path: Path | str, type: str = "json") -> tuple[FileNote, list[UnitNote]]:
    info = files.info(str(path))
    note = FileNote(DatasetFile(0, 0, info.uri, info.size, info.version, type))
    return note, [_examine(unit) for unit in dataset.units(note)]


def _examine(unit: Unit) -> UnitNote:
    examiner = Examiner(unit, ENTRY, Rules(10**6), lambda some: [look(10**6, one) for one in some])
    dataset.examine(examiner)
    return examiner.note()


def batches(data: bytes, size: int) -> list[bytes]:
    """As Hugging Face's JSON reader takes them."""
    file, found = io.BytesIO(data), []
    while batch := file.read(size):
        found.append(batch + file.readline())
    return found


@given(st.lists(st.integers(0, 60), min_size=1, max_size=30), st.integers(20, 200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_are_cut_as_their_reader_cuts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lengths: list[int], size: int
) -> None:
    data = b"".join(b'{"n": "%s"}\n' % (b"x" * length) for length in lengths)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    monkeypatch.setattr(units_of, "BATCH_BYTES", size)
    info = files.info(str(path))
    note = FileNote(DatasetFile(0, 0, info.uri, info.size, info.version, "json"))
    cut = [unit.chunk for unit in dataset.units(note)]
    assert [data[chunk.start : chunk.end] for chunk in cut if chunk] == [
        batch.rstrip() for batch in batches(data, size)
    ]
    assert [chunk.first for chunk in cut if chunk] == [
        sum(chunk.count for chunk in cut[:at] if chunk) for at in range(len(cut))
    ]


@given(st.binary(max_size=40), st.integers(0, 300), st.sampled_from([lines, array]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_findings(tmp_path: Path, junk: bytes, at: int, form: object) -> None:
    whole = lines(text(), seen()) if form is lines else array(text(), seen())
    for data in (junk, whole[:at] + junk + whole[at + len(junk) :], whole[:at]):
        path = tmp_path / "rows.json"
        path.write_bytes(data)
        _, found = examined(path)
        assert [one.unit.number for one in found] == list(range(len(found)))


@given(st.binary(max_size=40), st.integers(0, 3000))
@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_parquet_give_findings(tmp_path: Path, junk: bytes, at: int) -> None:
    whole = parquet(inside(), inside())
    path = tmp_path / "rows.parquet"
    path.write_bytes(whole[:at] + junk + whole[at + len(junk) :])
    examined(path, "parquet")


def test_another_file_system() -> None:
    with fsspec.open("memory://check/rows.jsonl", "wb") as file:
        file.write(lines(text(), seen(messages=[])))
    _, (note,) = examined("memory://check/rows.jsonl")
    assert [count.kind for count in note.counts] == [Kind.NO_TURNS]


def test_a_row_beyond_the_limit_is_told_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines(text(), text(system="s" * (9 << 20)), text(), text(messages=[])))
    note, found = examined(path)
    assert note.findings == []
    assert [(count.kind, count.first[0].place.row) for unit in found for count in unit.counts] == [
        (Kind.FILE_NOT_CHECKED, 1),
        (Kind.NO_TURNS, 3),
    ]


def test_columns_of_parquet_have_their_schema_s_types(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    values = {"a": pa.array([1], pa.int8()), "b": pa.array([["x"]], pa.large_list(pa.string()))}
    values["c"] = pa.array(["x"]).dictionary_encode()
    pq.write_table(pa.table(values), path)
    note, _ = examined(path, "parquet")
    assert note.shape is not None
    assert note.shape.fields is not None
    assert {key: shape.describe() for key, shape in note.shape.fields.items()} == {
        "a": "whole number",
        "b": "a list of text",
        "c": "text",
    }


def test_a_damaged_row_group_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    data = bytearray(parquet(*[inside()] * 100))
    data[4:200] = b"\xff" * 196
    path.write_bytes(data)
    _, found = examined(path, "parquet")
    kinds = {count.kind for unit in found for count in unit.counts}
    assert Kind.FILE_UNREADABLE in kinds


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
        ("a.json", b"<html>", "a web page"),
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
    monkeypatch.setattr(dataset, "MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'"' + b"x" * (4 << 20))
    with pytest.raises(SourceError, match="a line is longer than 1 MiB"):
        list(lines_of(str(path), path.stat().st_size))
