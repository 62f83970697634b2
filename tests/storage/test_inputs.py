"""Shards in: chunks that hold every record, and the records of a chunk."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core import chunk as chunk_module
from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import ShardError, SourceError
from beam_mat.core.limits import MAX_RAW_BYTES, MAX_RECORD_BYTES
from beam_mat.core.record import parse
from beam_mat.core.reject import Reason
from beam_mat.core.scan import Span
from beam_mat.core.trajectory import Fault, Reading
from beam_mat.storage import files, inputs, texts
from tests.build import record
from tests.core.test_scan import SOUP
from tests.fuzz import json_shards
from tests.properties import examples


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


def read_twice(shard: Shard, copy: str) -> Iterator[bytes]:
    """Yields the records of a shard as later steps read them; they must be those of the scan."""
    try:
        reading = inputs.reading(shard, copy=copy)
    except ShardError:
        return
    data = Path(reading.copy or shard.uri).read_bytes()
    found = list(texts.spans(reading.text, reading.found))
    spans = [item for item in found if isinstance(item, Span)][: shard.limit]
    chunks = list(inputs.chunks(reading, "d"))
    read = [item for chunk in chunks for item in inputs.records(chunk)]
    assert [item.index for item in read] == list(range(len(read)))
    whole = [item for item in read if item.chunk.fault is not Reason.SHARD_BREAKS_OFF]
    assert [item.span for item in whole] == spans
    for item in whole:
        assert item.data == data[item.span.start : item.span.end]
        yield item.data
    for item in read[len(whole) :]:
        assert item is read[-1]
        assert item.span.end == len(data)


PIECES = st.sampled_from([data for _, data in json_shards.boundaries()])
CUTS = st.tuples(st.integers(0, 250), st.integers(0, 250), SOUP)


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """Soup, or a hostile shard of which some bytes are replaced by soup."""
    data = draw(SOUP | PIECES)
    for start, length, soup in draw(st.lists(CUTS, max_size=3)):
        data = data[:start] + soup + data[start + length :]
    return data


@settings(max_examples=examples(600))
@given(hostile(), st.none() | st.integers(1, 3), st.booleans())
def test_any_bytes_have_the_same_records_when_they_are_read_again(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, limit: int | None, packed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.json"
    (path.parent / "copy").unlink(missing_ok=True)
    shard = shard_of(path, gzip.compress(data, mtime=0) if packed else data, limit=limit)
    for found in read_twice(shard, str(path.parent / "copy")):
        parse(found, Reading())


@pytest.mark.parametrize("seed", range(4))
def test_mutated_shards_have_the_same_records_when_they_are_read_again(
    tmp_path: Path, seed: int
) -> None:
    for data in json_shards.mutated(seed, examples(5000)):
        shard = shard_of(tmp_path / "a.json", data)
        for found in read_twice(shard, ""):
            parse(found, Reading())


def test_a_stray_quote_after_the_last_record_is_one_malformed_record(tmp_path: Path) -> None:
    for end in (b' "', b' "]'):
        shard = shard_of(tmp_path / "a.json", b"[" + json_shards.GOOD + end)
        (chunk,) = inputs.chunks(inputs.reading(shard), "")
        (found,) = inputs.records(chunk)
        fault = parse(found.data, Reading())
        assert isinstance(fault, Fault)
        assert fault.reason is Reason.MALFORMED_JSON
        assert found.span == Span(1, shard.size)
