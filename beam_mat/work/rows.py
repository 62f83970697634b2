"""Reads the rows of a data file in order, to find one of them.

Memory use does not depend on the size of the file. JSON Lines are read line by line, arrays by
chunk, and Parquet by row group, of which only the ids are read until a row is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core.contract.examine import decode
from beam_mat.core.contract.unit import DatasetFile, FileNote
from beam_mat.core.errors import SourceError
from beam_mat.core.scan import HEAD_BYTES, Head, Layout, detect
from beam_mat.storage import files, inputs
from beam_mat.work import data_files

MAX_LINE_BYTES = 64 << 20


class FoundRow(msgspec.Struct, frozen=True):
    """A row: its index in the file from 0, its id or "", and a function that reads it."""

    index: int
    id: str
    load: Callable[[], object]


class _Identity(msgspec.Struct):
    id: Any = None


def rows(file: DatasetFile) -> Iterator[FoundRow]:
    """Yields the rows of a file, in order.

    Raises:
        SourceError: The rest of the file cannot be read.
    """
    if file.type == "parquet":
        yield from _parquet_rows(file)
        return
    for at, data in enumerate(_json_rows(file)):
        yield FoundRow(at, _id_in(data), partial(_decode, f"{file.uri} row {at}", data))


def lines(uri: str, size: int) -> Iterator[bytes]:
    """Yields the lines of a file that are not blank.

    Raises:
        SourceError: A line is longer than `MAX_LINE_BYTES`.
    """
    rest = b""
    for block in files.read_blocks(uri, 0, size):
        *whole, rest = (rest + block).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise SourceError(
                f"{uri}: a line is longer than {MAX_LINE_BYTES >> 20} MiB; "
                "write one record per line, or remove this line"
            )
        yield from filter(bytes.strip, whole)
    if rest.strip():
        yield rest


def _json_rows(file: DatasetFile) -> Iterator[bytes]:
    head = detect(files.read_range(file.uri, 0, min(HEAD_BYTES, file.size)))
    if not isinstance(head, Head):
        raise SourceError(f"{file.uri}: {head.detail}; run beam-mat check for details")
    if head.layout is Layout.LINES:
        yield from lines(file.uri, file.size)
        return
    for unit in data_files.units(FileNote(file)):
        chunk = unit.chunk
        assert chunk is not None  # only Parquet has none
        if chunk.fault:
            raise SourceError(f"{file.uri}: {chunk.detail}; run beam-mat check for details")
        data = files.read_range(file.uri, chunk.start, chunk.end)
        for record in inputs.split(chunk, data):
            yield record.data


def _id_in(data: bytes) -> str:
    try:
        found = msgspec.json.decode(data, type=_Identity).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            value = decode(data)
        except ValueError:
            return ""
        found = value.get("id") if isinstance(value, dict) else None
    return _text_of(found)


def _text_of(id: object) -> str:
    return str(id) if isinstance(id, str | int) else ""


def _decode(place: str, data: bytes) -> object:
    try:
        return decode(data)
    except ValueError as error:
        raise SourceError(
            f"{place}: is not valid JSON ({error}); correct or replace the row"
        ) from error


def _parquet_rows(file: DatasetFile) -> Iterator[FoundRow]:
    index = 0
    try:
        with files.open_binary(file.uri) as opened, pq.ParquetFile(opened) as parquet:
            has_ids = "id" in parquet.schema_arrow.names
            for group in range(parquet.num_row_groups):
                ids = [""] * parquet.metadata.row_group(group).num_rows
                if has_ids:
                    ids = parquet.read_row_group(group, columns=["id"])["id"].to_pylist()
                for place, id in enumerate(ids):
                    yield FoundRow(index, _text_of(id), partial(_load, parquet, group, place))
                    index += 1
    except pa.ArrowException as error:
        raise SourceError(
            f"{file.uri}: cannot be read as Parquet ({error}); run beam-mat check for details"
        ) from error


def _load(parquet: pq.ParquetFile, group: int, place: int) -> object:
    at = 0
    for batch in parquet.iter_batches(16, row_groups=[group], use_threads=False):
        if place < at + batch.num_rows:
            return batch.slice(place - at, 1).to_pylist()[0]
        at += batch.num_rows
    raise AssertionError(f"row {place} of row group {group}")
