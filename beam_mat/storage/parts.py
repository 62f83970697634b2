"""Part files in JSONL and Parquet: writes them, and finds those that were written before."""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.reject import Reject
from beam_mat.core.results import Part, Unit
from beam_mat.core.settings import JSONL, Settings
from beam_mat.core.trajectory import Trajectory, Turn
from beam_mat.storage import files

# Arrow's own allocator keeps the memory of the largest row groups: 70 MB in a long job.
pa.set_memory_pool(pa.system_memory_pool())


class Row(msgspec.Struct, frozen=True):
    """A row as LLaMA-Factory reads it; `images` are paths relative to the output folder.

    Which of the last fields are set is the same for all rows of a subset.
    """

    messages: tuple[Turn, ...]
    images: tuple[str, ...]
    system: str
    id: str | msgspec.UnsetType = msgspec.UNSET
    tools: str | msgspec.UnsetType = msgspec.UNSET
    chosen: Turn | msgspec.UnsetType = msgspec.UNSET
    rejected: Turn | msgspec.UnsetType = msgspec.UNSET
    kto_tag: bool | msgspec.UnsetType = msgspec.UNSET


def row_of(trajectory: Trajectory) -> Row:
    """Returns the row of an accepted record whose `images` are files below the output folder."""
    values = {
        "id": trajectory.id,
        "tools": trajectory.tools,
        "chosen": trajectory.chosen,
        "rejected": trajectory.rejected,
        "kto_tag": trajectory.label,
    }
    given: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    return Row(trajectory.turns, trajectory.images, trajectory.system, **given)


_BINARY = pa.binary()
_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
_TYPES = {
    "messages": pa.list_(_TURN),
    "images": pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    "system": pa.string(),
    "tools": pa.string(),
    "chosen": _TURN,
    "rejected": _TURN,
    "kto_tag": pa.bool_(),
    "id": pa.string(),
}


@functools.cache
def schema_of(subset: str) -> pa.Schema:
    """Returns the schema of a subset's Parquet parts.

    Hugging Face metadata would make its reader encode the images again.
    """
    names = (*layout.columns(subset), *(["id"] if layout.has_id(subset) else []))
    return pa.schema([(name, _TYPES[name]) for name in names])


WRITE_BYTES = 1 << 20
GROUP_ROWS = 100
GROUP_BYTES = 16 << 20

_BYTES = "images.list.element.bytes"
_REPEATED = ("messages.list.element.role", "system", "tools", "chosen.role", "rejected.role")
"""Columns whose values repeat."""


def parquet_writer(file: files.HashingWriter, schema: pa.Schema) -> pq.ParquetWriter:
    """Returns a writer for a Parquet file. Images are not compressed again."""
    names = [name for column in schema for name in _leaves(column.name, column.type)]
    return pq.ParquetWriter(
        file,
        schema,
        compression={name: "none" if name == _BYTES else "zstd" for name in names},
        use_dictionary=[name for name in _REPEATED if name in names] or False,
        write_statistics=False,
    )


def _leaves(name: str, type: pa.DataType) -> Iterator[str]:
    """Yields the names of a column's leaves, as Parquet has them."""
    if pa.types.is_list(type):
        yield from _leaves(f"{name}.list.element", type.value_type)
    elif pa.types.is_struct(type):
        for field in type:
            yield from _leaves(f"{name}.{field.name}", field.type)
    else:
        yield name


def write_unit(settings: Settings, unit: Unit, rows: Sequence[Row]) -> list[Part]:
    """Writes the same rows in each format of the settings, at the same time.

    Compression, hashes and the disk do not need the interpreter lock.
    """
    write = partial(_write_part, settings, unit, rows)
    if len(settings.formats) == 1:
        return [write(settings.formats[0])]
    with ThreadPoolExecutor(len(settings.formats), thread_name_prefix="parts") as threads:
        return list(threads.map(write, settings.formats))


def _write_part(settings: Settings, unit: Unit, rows: Sequence[Row], format: str) -> Part:
    path = place(format, unit)
    with open_part(settings, path) as file:
        if format == JSONL:
            _write_lines(file, rows)
        else:
            schema = schema_of(unit.subset)
            with parquet_writer(file, schema) as writer:
                for group in _prefetched(_groups(settings, rows, schema)):
                    writer.write_table(group)
    return part_of(path, format, unit, file)


def _write_lines(file: files.HashingWriter, values: Iterable[msgspec.Struct]) -> None:
    encoder, lines = msgspec.json.Encoder(), bytearray()
    for value in values:
        encoder.encode_into(value, lines, -1)
        lines += b"\n"
        if len(lines) >= WRITE_BYTES:
            file.write(lines)
            lines.clear()
    file.write(lines)


def part_of(path: str, format: str, unit: Unit, file: files.HashingWriter) -> Part:
    """Returns the part that was written to `file`."""
    written = file.result()
    rows = unit.rows, unit.image_rows
    return Part(path, format, unit.split, *rows, written.bytes, written.sha256, unit.subset)


def write_rejects(settings: Settings, name: str, rejects: Sequence[Reject]) -> Part:
    """Writes the rejected records of a chunk."""
    path = f"{layout.REJECTS}/{name}.jsonl"
    with open_part(settings, path) as file:
        _write_lines(file, rejects)
    return part_of(path, JSONL, Unit(name, layout.REJECTS, 0, len(rejects)), file)


def open_part(settings: Settings, path: str) -> AbstractContextManager[files.HashingWriter]:
    """Opens a part for writing; see `files.write_new`."""
    scratch = files.join(settings.output, layout.SCRATCH)
    return files.write_new(files.join(settings.output, path), scratch)


def place(format: str, unit: Unit) -> str:
    """Returns the path of a unit's part below the output folder.

    Text-only rows are below ``_beam_mat/``, because they will be interleaved with others.
    """
    path = layout.part(format, unit.subset, unit.split, unit.name)
    return path if unit.image_rows else f"{layout.TEXT_ONLY}/{path}"


def _groups(settings: Settings, rows: Sequence[Row], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yields row groups. The images' bytes are read from the output folder."""
    paths = [path for row in rows for path in row.images]
    bodies = files.read_each((files.join(settings.output, path) for path in paths), _is_whole)
    group: list[Row] = []
    images: list[bytes] = []
    size = 0
    for row in rows:
        group.append(row)
        for _ in row.images:
            images.append(next(bodies))
            size += len(images[-1])
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield _table(schema, group, images)
            group, images, size = [], [], 0
    if group:
        yield _table(schema, group, images)


def _table(schema: pa.Schema, rows: Sequence[Row], images: Sequence[bytes]) -> pa.Table:
    """Returns a row group. `images` are the bytes of all images of the rows."""
    turns = [turn for row in rows for turn in row.messages]
    roles = pa.array([turn.role for turn in turns], pa.string())
    contents = _packed([turn.content.encode() for turn in turns], pa.string())
    paths = pa.array([path for row in rows for path in row.images], pa.string())
    columns = {
        "messages": _lists("messages", [len(row.messages) for row in rows], roles, contents),
        "images": _lists("images", [len(row.images) for row in rows], _packed(images), paths),
        "system": _packed([row.system.encode() for row in rows], pa.string()),
    }
    for name in schema.names[len(columns) :]:
        values = [getattr(row, name) for row in rows]
        if _TYPES[name] == _TURN:
            values = [{"role": turn.role, "content": turn.content} for turn in values]
        columns[name] = pa.array(values, _TYPES[name])
    return pa.Table.from_arrays(list(columns.values()), schema=schema)


def _packed(values: Sequence[bytes], kind: pa.DataType = _BINARY) -> pa.Array:
    """Returns an array of texts or bytes. Arrow would copy long ones several times."""
    buffers = [None, pa.py_buffer(_offsets(map(len, values))), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _lists(name: str, lengths: Sequence[int], *columns: pa.Array) -> pa.ListArray:
    """Returns a column of lists. Each field of `columns` has the values of all lists together."""
    fields = list(_TYPES[name].value_type)
    values = pa.StructArray.from_arrays(columns, fields=fields)
    return pa.ListArray.from_arrays(pa.array(_offsets(lengths)), values)


def _offsets(lengths: Iterable[int]) -> npt.NDArray[np.int32]:
    return np.fromiter(accumulate(lengths, initial=0), np.int32)


def _is_whole(uri: str, data: bytes) -> bool:
    # An image has a hash in its name.
    return hashlib.sha256(data).hexdigest()[: layout.HASH_DIGITS] == uri.rsplit(".", 2)[1]


def _prefetched(groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yields the groups. The next group is made in a thread while the current one is written."""
    with ThreadPoolExecutor(1, thread_name_prefix="rows") as thread:
        coming = thread.submit(next, groups, None)
        while (group := coming.result()) is not None:
            coming = thread.submit(next, groups, None)
            yield group


def all_there(settings: Settings, parts: Iterable[Part]) -> bool:
    """Returns whether every part has its size where it was written or where a commit moved it."""
    parts = list(parts)
    found = files.sizes([files.join(settings.output, part.path) for part in parts])
    lost = [part for part, size in zip(parts, found, strict=True) if size != part.bytes]
    moved = [files.join(settings.output, layout.REPLACED, part.path) for part in lost]
    return files.sizes(moved) == [part.bytes for part in lost]


def location(output: str, path: str) -> str:
    """Returns the URI of a file of a generation: in its folder, or below ``replaced/``."""
    uri = files.join(output, path)
    moved = files.join(output, layout.REPLACED, path)
    return uri if files.exists(uri) or not files.exists(moved) else moved
