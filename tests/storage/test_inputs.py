"""Shards in: chunks that hold every record, and the records of a chunk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beam_mat.core import chunk as chunk_module
from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import SourceError
from beam_mat.core.limits import MAX_RAW_BYTES, MAX_RECORD_BYTES
from beam_mat.core.reject import Reason
from beam_mat.storage import files, inputs
from tests.build import record


def shard_of(path: Path, data: bytes, **changes: Any) -> Shard:
    path.write_bytes(data)
    found = files.info(str(path))
    return Shard(
        **{"uri": found.uri, "order": 0, "size": found.size, "version": found.version, **changes}
    )


def values(chunks: list[Chunk]) -> list[Any]:
    """Every record's value; of a faulty range, its reason."""
    found: list[Any] = []
    for chunk in chunks:
        held = list(inputs.records(chunk))
        assert [item.index for item in held] == list(range(chunk.first, chunk.first + chunk.count))
        found += [chunk.fault or json.loads(item.data) for item in held]
    return found


@pytest.fixture
def tiny_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_module, "MIN_CHUNK_BYTES", 500)


@pytest.mark.usefixtures("tiny_chunks")
@pytest.mark.parametrize("form", ["array", "indented", "lines", "bom", "crlf"])
def test_the_records_of_all_chunks_are_those_of_the_shard(tmp_path: Path, form: str) -> None:
    records = [record(id=f"i{at}", answer="é]}" * (at % 7)) for at in range(50)]
    lines = "\n".join(json.dumps(item, ensure_ascii=False) for item in records)
    text = {
        "array": json.dumps(records),
        "indented": json.dumps(records, indent=2, ensure_ascii=False),
        "lines": lines,
        "bom": "\ufeff" + lines + "\n",
        "crlf": lines.replace("\n", "\r\n\r\n"),
    }[form]
    chunks = list(inputs.chunks(inputs.reading(shard_of(tmp_path / "a.json", text.encode())), ""))
    assert len(chunks) > 5
    assert values(chunks) == records


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'[{"a":1}, {"a":2}, {"b', [{"a": 1}, {"a": 2}, Reason.SHARD_BREAKS_OFF]),
        (b'[{"a":1}, {"a":2}', [{"a": 1}, {"a": 2}, Reason.SHARD_BREAKS_OFF]),
        (b'[{"a":1}] {}', [{"a": 1}, Reason.SHARD_BREAKS_OFF]),
        (b"[]", []),
    ],
)
def test_a_shard_that_breaks_off_gives_what_came_before_and_one_reject(
    tmp_path: Path, data: bytes, expected: list[Any]
) -> None:
    shard = shard_of(tmp_path / "a.json", data)
    reading = inputs.reading(shard)
    chunks = list(inputs.chunks(reading, ""))
    assert values(chunks) == expected
    assert inputs.count_records(shard, 99) == len(expected)
    if chunks and chunks[-1].fault:
        (item,) = inputs.records(chunks[-1])
        broken = reading.broken(chunks)
        assert broken
        left = len(data) - item.span.start
        assert (broken.start, broken.size, broken.unread) == (item.span.start, len(data), left)
        assert item.span.end == len(data)
        assert item.data == data[item.span.start :]


def test_a_record_beyond_the_limit_is_a_reject_of_which_a_bounded_part_is_read(
    tmp_path: Path,
) -> None:
    large = b'{"id": "' + b"x" * MAX_RECORD_BYTES + b'"}'
    shard = shard_of(tmp_path / "a.json", b'[{"a":1},' + large + b',{"a":2}]')
    chunks = list(inputs.chunks(inputs.reading(shard), ""))
    assert values([chunks[0], chunks[2]]) == [{"a": 1}, {"a": 2}]
    assert chunks[1].fault is Reason.RECORD_TOO_LARGE
    (item,) = inputs.records(chunks[1])
    assert (item.span.end - item.span.start, len(item.data)) == (len(large), MAX_RAW_BYTES)


def test_counting_stops_where_it_may(tmp_path: Path) -> None:
    shard = shard_of(tmp_path / "a.json", json.dumps([{"a": 1}] * 30).encode())
    assert [inputs.count_records(shard, most) for most in (1, 29, 30, 31)] == [1, 29, 30, 30]


@pytest.mark.parametrize("data", [b'[{"a": "x', b"[1,   2]", b'{"a"', b'[{"a":1},{"a":2}]'])
def test_a_shard_that_changed_while_it_was_read_is_a_source_error(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "a.json"
    (chunk,) = inputs.chunks(inputs.reading(shard_of(path, b'[{"a":1},3,{"a":2}]')), "")
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.json"):
        list(inputs.records(chunk))


def test_a_chunk_travels_between_processes(tmp_path: Path) -> None:
    for data in (b"[1]", b"["):
        (chunk,) = inputs.chunks(inputs.reading(shard_of(tmp_path / "a.json", data)), "digest")
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(chunk), type=Chunk) == chunk


def test_blanks_between_records_are_not_read(tmp_path: Path) -> None:
    blank = b" " * (3 << 20)
    shard = shard_of(tmp_path / "a.json", b'[{"a":1},' + blank + b'{"a":2},{"a":3}' + blank + b"]")
    chunks = list(inputs.chunks(inputs.reading(shard), ""))
    assert [chunk.end - chunk.start for chunk in chunks] == [7, 15]
    assert values(chunks) == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_other_bytes_between_records_are_a_changed_shard(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    (chunk,) = inputs.chunks(inputs.reading(shard_of(path, b'[{"a":1}, {"a":2}]')), "")
    path.write_bytes(b'[{"a":1},7{"a":2}]')
    with pytest.raises(SourceError, match="no record ends at byte 8 any more"):
        list(inputs.records(chunk))
