"""What a file is, from its first bytes: a shard in one of its forms, or something with a name."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.compression import Codec
from beam_mat.core.detect import HEAD_BYTES, Head, Packed, Wrapped, detect
from beam_mat.core.limits import MAX_RECORD_BYTES
from beam_mat.core.scan import Break, Layout
from tests.core.test_scan import RECORDS, SOUP, VALUES
from tests.making import picture
from tests.properties import examples

few = settings(max_examples=examples(150))
RECORD = b'{"id": "1", "conversations": [{"role": "user", "content": "{\\"a\\":\\n[1"}]}'


@pytest.mark.parametrize(
    ("head", "layout", "offset"),
    [
        (b'[{"id":1}]', Layout.ARRAY, 1),
        (b" \n\t [\n", Layout.ARRAY, 5),
        (b"\xef\xbb\xbf[", Layout.ARRAY, 4),
        (b'\xef\xbb\xbf{"id":1}\n{"id":2}', Layout.LINES, 3),
        (b'{"id":1}\n{"id":2}', Layout.LINES, 0),
        (b'{"id":1}\r\n{"id":2}', Layout.LINES, 0),
        (b'{"id":1}\n\n \n{"id":2}', Layout.LINES, 0),
        (b'broken\n{"id":2}\n', Layout.LINES, 0),
        # A damaged first line costs only itself.
        (b'{"id":1\n{"id":2}\n', Layout.LINES, 0),
        (b'{"id":1,\n{"id":2}\n', Layout.LINES, 0),
        (b'{"id":"a\n{"id":2}\n', Layout.LINES, 0),
        (b'{"id":"a\\"\n{"id":2}\n', Layout.LINES, 0),
        (b'{"a":[}\n{"id":2}\n', Layout.LINES, 0),
        (b"{\n" + b'{"id":2}\n', Layout.LINES, 0),
        (b"{}\n{}\n", Layout.LINES, 0),
    ],
)
def test_a_layout_is_told_from_its_head(head: bytes, layout: Layout, offset: int) -> None:
    assert detect(head, whole=True) == Head(layout, offset)
    assert detect(head) == Head(layout, offset)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    "head",
    [
        json.dumps({"data": [{"id": 1}]}, indent=1).encode(),
        b'{"data": [\n{"id": 1},\n{"id": 2}\n]}',
        b'{"version": 1, "data": [{"id": 1},\n{"id": 2}',
        b'{\r\n  "data": [{"id": bad}, \n{"id": "x\n',
        b'\n{"a": 1\n, "data": [{',
    ],
)
def test_an_object_over_lines_is_no_json_lines(head: bytes, whole: bool) -> None:
    assert detect(head, whole=whole) == Wrapped(head.index(b"{"), True)


def test_an_object_on_one_line_may_be_both() -> None:
    assert detect(RECORD, whole=True) == Wrapped(0, False)
    assert detect(RECORD + b"\n", whole=True) == Wrapped(0, False)
    assert detect(RECORD[:40], whole=True) == Wrapped(0, False)
    assert detect(RECORD) is None, "more bytes decide"
    assert detect(RECORD + b"\n" + RECORD[:5]) == Head(Layout.LINES, 0)
    long = b'{"data": [' + b" " * (MAX_RECORD_BYTES + HEAD_BYTES)
    assert detect(long) == Wrapped(0, False), "longer than any record"


@few
@given(st.lists(RECORDS, min_size=2, max_size=4), st.sampled_from(["\n", "\r\n", "\n \n"]))
def test_lines_of_objects_are_json_lines(records: list[dict[str, Any]], newline: str) -> None:
    data = newline.join(map(json.dumps, records)).encode()
    first = len(json.dumps(records[0]))
    assert detect(data, whole=True) == detect(data) == Head(Layout.LINES, 0)
    for stop in range(first + len(newline) + 1, len(data)):
        assert detect(data[:stop]) == Head(Layout.LINES, 0)
    for stop in range(1, first):
        assert detect(data[:stop]) in (None, Head(Layout.LINES, 0))


@few
@given(st.lists(RECORDS, min_size=2, max_size=4), st.data())
def test_a_first_line_that_is_cut_off_costs_only_itself(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    first, *others = [json.dumps(one).encode() for one in records]
    cut = first[: data.draw(st.integers(1, len(first)))].rstrip()
    found = detect(b"\n".join([cut, *others]), whole=True)
    # After a colon, an opening bracket or a comma the next line could be a value, as in an indented
    # object.
    ambiguous = cut.endswith((b":", b"[", b",")) and found == Wrapped(0, True)
    assert ambiguous or found == Head(Layout.LINES, 0)


@few
@given(RECORDS, st.sampled_from([None, 0, 2]), st.text(" \n\t\r", max_size=5))
def test_one_object_is_an_object_in_any_style(
    value: dict[str, Any], indent: int | None, after: str
) -> None:
    text = json.dumps(value, indent=indent)
    found = detect((text + after).encode(), whole=True)
    assert found == Wrapped(0, "\n" in text)


@few
@given(st.lists(VALUES, max_size=3), st.sampled_from([None, 1]))
def test_an_array_is_an_array(values: list[Any], indent: int | None) -> None:
    assert detect(json.dumps(values, indent=indent).encode()) == Head(Layout.ARRAY, 1)


@few
@given(SOUP, st.booleans())
def test_detect_takes_any_bytes(data: bytes, whole: bool) -> None:
    head = detect(data, whole=whole)
    if isinstance(head, Head | Wrapped):
        assert head.offset <= len(data)
    if isinstance(head, Break):
        assert head.start <= len(data)
        assert head.detail


def test_a_long_head_is_read_once() -> None:
    # Rescanning at each token would take the square of them.
    data = b'{"a": [' + b"[],\n" * 200_000
    assert detect(data) == Wrapped(0, True)


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (gzip.compress(b"[]"), Codec.GZIP),
        (bz2.compress(b"[]"), Codec.BZIP2),
        (lzma.compress(b"[]"), Codec.XZ),
        (zstandard.compress(b"[]"), Codec.ZSTD),
        (b"\x50\x2a\x4d\x18\x00\x00\x00\x00", Codec.ZSTD),
    ],
    ids=lambda value: value.value if isinstance(value, Codec) else "",
)
def test_a_compressed_file_is_recognised_by_content(data: bytes, codec: Codec) -> None:
    assert detect(data) == Packed(codec)


def parquet() -> bytes:
    out = io.BytesIO()
    # Text that looks like JSON Lines is in it, uncompressed.
    pq.write_table(pa.table({"a": ['\n{"id": 1}\n{"id": 2}']}), out, compression="none")
    return out.getvalue()


def arrow() -> bytes:
    out = io.BytesIO()
    pyarrow.feather.write_feather(pa.table({"a": [1]}), out)
    return out.getvalue()


def zipped(**members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.json"), io.BytesIO(b""))
    return out.getvalue()


def sqlite(folder: Path) -> bytes:
    with sqlite3.connect(folder / "a") as database:
        database.execute("create table a (b)")
    database.close()
    return (folder / "a").read_bytes()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "the file is empty; download it again"),
        (b" \n\n", "nothing but blanks"),
        (b"\0" * 4096, "only null bytes"),
        (parquet(), "the file is Parquet; write it as JSON Lines"),
        (arrow(), "an Arrow file"),
        (LFS, "a Git LFS pointer and not the file itself; run git lfs pull"),
        (zipped(a="[]"), "a zip; unpack it"),
        (zipped(), "an empty zip"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive; unpack it, and name the files (7z x FILE)"),
        (b"Rar!\x1a\x07\x01\x00", "a rar archive; unpack it, and name the files (unrar x FILE)"),
        (tarred(), "a tar archive; unpack it, and name the files (tar -xf FILE)"),
        (b"\x04\x22\x4d\x18\x64", "lz4 -d FILE"),
        (lzma.compress(b"[]", lzma.FORMAT_ALONE), "unlzma FILE"),
        (pickle.dumps([{"id": "1" * 300}], 4), "a Python pickle"),
        (picture(), "an image (JPEG); images belong to --images"),
        (picture(format="PNG"), "an image (PNG)"),
        (b"%PDF-1.7\n{", "a PDF"),
        ('[{"id":1}]'.encode("utf-16"), "UTF-16 or UTF-32; write it in UTF-8"),
        ('[{"id":1}]'.encode("utf-16-le"), "UTF-16"),
        ('[{"id":1}]'.encode("utf-16-be"), "UTF-16"),
        ('{"id":1}'.encode("utf-32"), "UTF-32"),
        ('{"id":1}'.encode("utf-32-le"), "UTF-32"),
        (b"<!DOCTYPE html><html><script>\n{}\n</script></html>", "a web page"),
        (b'\xef\xbb\xbf\n<?xml version="1.0"?><Error>', "a web page"),
        (b"id,conversations\n1,2\n", "not JSON: it starts with b'id,conversations"),
        (b'"text"', "not JSON"),
        (b'{\n"id": 1\n}\n{\n"id": 2\n}\n', "objects over several lines, one after the other"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_shard_says_so(head: bytes, words: str) -> None:
    found = detect(head, whole=True)
    assert isinstance(found, Break)
    assert words in found.detail


def test_a_database_is_named(tmp_path: Path) -> None:
    found = detect(sqlite(tmp_path), whole=True)
    assert isinstance(found, Break)
    assert "an SQLite database" in found.detail
