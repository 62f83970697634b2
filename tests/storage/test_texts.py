"""The text of a shard: found again in every form, whatever the length of its first line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from beam_mat.core.chunk import Shard
from beam_mat.core.compression import Codec
from beam_mat.core.limits import MAX_RECORD_BYTES
from beam_mat.core.scan import Break, Layout, Span
from beam_mat.storage import files, inputs, texts
from beam_mat.storage.texts import FileText, Found, PackedText, Text


def shard_of(path: Path, data: bytes) -> Shard:
    path.write_bytes(data)
    found = files.info(str(path))
    return Shard(found.uri, 0, found.size, found.version)


def plain(path: Path, data: bytes) -> Text:
    shard = shard_of(path, data)
    return FileText(shard.uri, shard.size)


def packed(path: Path, data: bytes) -> Text:
    return PackedText(shard_of(path, bz2.compress(data)), Codec.BZIP2)


OPEN = pytest.mark.parametrize("opened", [plain, packed])
Open = Callable[[Path, bytes], Text]


def read(text: Text, found: Found) -> list[bytes | Break]:
    data = b"".join(text.blocks())
    spans = texts.spans(text, found)
    return [data[one.start : one.end] if isinstance(one, Span) else one for one in spans]


@OPEN
@pytest.mark.parametrize("size", [10, 100_000, MAX_RECORD_BYTES + 100_000])
def test_a_list_in_an_object_on_one_line_is_found(tmp_path: Path, opened: Open, size: int) -> None:
    records = [{"id": "a" * (size // 2)}, {"id": "b" * (size // 2)}]
    text = opened(tmp_path / "a.json", json.dumps({"data": records, "n": [1]}).encode())
    found = texts.find(text, "")
    assert isinstance(found, Found)
    assert (found.layout, found.key) == (Layout.ARRAY, "data")
    made = read(text, found)
    assert [json.loads(one) for one in made if isinstance(one, bytes)] == records
    assert len(made) == 2


@OPEN
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_long_first_line_is_json_lines(tmp_path: Path, opened: Open, size: int) -> None:
    lines = [json.dumps({"id": at, "data": [{"x": "a" * size}]}).encode() for at in range(3)]
    text = opened(tmp_path / "a.json", b"\n".join(lines))
    found = texts.find(text, "")
    assert found == Found(Layout.LINES, 0)
    assert read(text, found) == lines


@OPEN
def test_a_part_of_a_text_is_read(tmp_path: Path, opened: Open) -> None:
    data = bytes(range(256)) * 4000
    text = opened(tmp_path / "a.json", data)
    for start, end in ((0, None), (5, 6), (300_000, 700_001), (1_023_999, 1_024_000), (7, None)):
        assert b"".join(text.blocks(start, end)) == data[start:end]
    assert text.head(2000)[0][:2000] == data[:2000]
    assert text.head(2000)[1] is False
    assert text.head(len(data)) == (data, True)


def test_the_beginning_of_a_store_s_file_is_read_by_one_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the whole file is read")

    shard = shard_of(tmp_path / "a.json", b"[" + b" " * 1_000_000)
    monkeypatch.setattr(files, "read_blocks", refuse)
    assert inputs.fault(shard, "") is None


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, None])
def test_records_are_counted_without_a_copy(
    tmp_path: Path, pack: Callable[[bytes], bytes] | None
) -> None:
    data = json.dumps({"a": [1], "data": [{"id": 1}] * 9}, indent=1).encode()
    shard = shard_of(tmp_path / "a.json", pack(data) if pack else data)
    assert [inputs.count_records(shard, most) for most in (4, 99)] == [4, 9]
    assert inputs.count_records(shard, 99, "a") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
