"""Part files in JSONL and Parquet: writes them, and finds those that were written before."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from itertools import accumulate

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.record import Trajectory, Turn
from beam_mat.core.reject import Reject
from beam_mat.core.results import Part, Unit
from beam_mat.core.settings import JSONL, Settings
from beam_mat.storage import files

# Arrow's own allocator keeps the memory of the largest row groups: 70 MB in a long job.
pa.set_memory_pool(pa.system_memory_pool())


class Row(msgspec.Struct, frozen=True):
    """A row as LLaMA-Factory reads it; `images` are paths relative to the output folder."""

    messages: tuple[Turn, ...]
    images: tuple[str, ...]
    system: str
    id: str


def row_of(trajectory: Trajectory) -> Row:
    """Returns the row of an accepted record whose `images` are files below the output folder."""
    return Row(trajectory.turns, trajectory.images, trajectory.system, trajectory.id)


SCHEMA = pa.schema(
    [
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
        ("system", pa.string()),
        ("id", pa.string()),
    ]
)
"""Schema of Parquet parts. Hugging Face metadata would make its reader re-encode the images."""

WRITE_BYTES = 1 << 20
GROUP_ROWS = 100
GROUP_BYTES = 16 << 20

_ROLE = "messages.list.element.role"
_BYTES = "images.list.element.bytes"
_PLAIN = ("messages.list.element.content", "images.list.element.path", "id")


def parquet_writer(file: files.HashingWriter, schema: pa.Schema) -> pq.ParquetWriter:
    """Returns a writer for a Parquet file. Images are not compressed again."""
    names = [_ROLE, _BYTES, *_PLAIN, "system"] if schema is SCHEMA else schema.names
    return pq.ParquetWriter(
        file,
        schema,
        compression={name: "none" if name == _BYTES else "zstd" for name in names},
        use_dictionary=[_ROLE, "system"] if schema is SCHEMA else False,
        write_statistics=False,
    )


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
            with parquet_writer(file, SCHEMA) as writer:
                for group in _prefetched(_groups(settings, rows)):
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
    return Part(path, format, unit.split, unit.rows, unit.image_rows, written.bytes, written.sha256)


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
    path = layout.part(format, unit.split, unit.name)
    return path if unit.image_rows else f"{layout.TEXT_ONLY}/{path}"


def _groups(settings: Settings, rows: Sequence[Row]) -> Iterator[pa.Table]:
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
            yield _table(group, images)
            group, images, size = [], [], 0
    if group:
        yield _table(group, images)


def _table(rows: Sequence[Row], images: Sequence[bytes]) -> pa.Table:
    """Returns a row group. `images` are the bytes of all images of the rows."""
    turns = [turn for row in rows for turn in row.messages]
    roles = pa.array([turn.role for turn in turns], pa.string())
    contents = _packed([turn.content.encode() for turn in turns], pa.string())
    paths = pa.array([path for row in rows for path in row.images], pa.string())
    columns = [
        _lists("messages", [len(row.messages) for row in rows], roles, contents),
        _lists("images", [len(row.images) for row in rows], _packed(images, pa.binary()), paths),
        _packed([row.system.encode() for row in rows], pa.string()),
        pa.array([row.id for row in rows], pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _packed(values: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    """Returns an array of texts or bytes. Arrow would copy long ones several times."""
    buffers = [None, pa.py_buffer(_offsets(map(len, values))), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _lists(name: str, lengths: Sequence[int], *columns: pa.Array) -> pa.ListArray:
    """Returns a column of lists. Each field of `columns` has the values of all lists together."""
    fields = list(SCHEMA.field(name).type.value_type)
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
