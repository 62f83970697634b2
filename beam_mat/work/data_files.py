"""Reads an existing dataset: the units of a data file, its rows, and image files.

To find one row, rows are read in order (`rows`), and memory use does not depend on the size of the
file. JSON Lines are read line by line, arrays by chunk, and Parquet by row group, of which only the
ids are read until a row is loaded.
"""

import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from beam_mat.core.chunk import Chunk
from beam_mat.core.contract.examine import Examiner, decode
from beam_mat.core.contract.finding import Finding, Kind, Place, printable
from beam_mat.core.contract.ignored import USUAL
from beam_mat.core.contract.shape import BINARY, BOOL, FLOAT, INT, TEXT, TIME, Shape
from beam_mat.core.contract.unit import BATCH_BYTES, DatasetFile, FileNote, Unit, cut_file
from beam_mat.core.detect import HEAD_BYTES, UTF8_BOM, Head, Packed, Wrapped, detect
from beam_mat.core.errors import SourceError
from beam_mat.core.limits import MAX_IMAGE_BYTES
from beam_mat.core.nesting import TooDeepError
from beam_mat.core.reject import Reason
from beam_mat.core.scan import Break, Layout, scan
from beam_mat.storage import files, inputs
from beam_mat.storage.stores import locate

BATCH_ROWS = 16
"""Parquet rows in memory at a time, including their images."""

MAX_COLUMNS = 20_000
MAX_CELLS = 1 << 25
"""Columns, and columns times rows, of JSON Lines that Arrow reads at once for a check."""

MAX_LINE_BYTES = 64 << 20


def units(note: FileNote) -> Iterator[Unit]:
    """Yields the units of a file, and fills its note."""
    return _parquet_units(note) if note.file.type == "parquet" else _json_units(note)


def _json_units(note: FileNote) -> Iterator[Unit]:
    file = note.file
    head = files.read_range(file.uri, 0, min(HEAD_BYTES, file.size))
    found = _head(file, head)
    if isinstance(found, Finding):
        if head.strip():
            note.findings.append(found)
        return
    note.layout = found.layout
    if found.layout is Layout.ARRAY and head.startswith(UTF8_BOM):
        why = "the file begins with a byte order mark"
        note.findings.append(Finding(Kind.MALFORMED_JSON, why, Place(file.order)))
    blocks = files.read_blocks(file.uri, found.offset, file.size)
    yield from cut_file(file, found.layout, scan(found.layout, blocks, found.offset))


def _head(file: DatasetFile, head: bytes) -> Head | Finding:
    """The layout of a file, or why no rows are read. To Hugging Face's reader one line is a row."""
    place, lenient = Place(file.order), head.startswith(_ZIP)
    match detect(head, whole=len(head) == file.size):
        case Head() as found:
            return found
        case Packed(codec):
            why = f"the file is compressed with {codec.value}; decompress it first"
            return Finding(Kind.FILE_NOT_CHECKED, why, place)
        case Wrapped(_, True):
            why = "the file is a single object over several lines"
            cure = "write an array of records or JSON Lines"
            return Finding(Kind.FILE_NOT_CHECKED, f"{why}; {cure}", place)
        case Break() as found:
            lenient |= head[found.start : found.start + 1] == b"{"
            kind = Kind.FILE_NOT_CHECKED if lenient else Kind.MALFORMED_JSON
            return Finding(kind, found.detail, place)
    return Head(Layout.LINES, len(UTF8_BOM) if head.startswith(UTF8_BOM) else 0)


_ZIP = b"PK\x03\x04"
"""Hugging Face's reader unpacks it."""


def _parquet_units(note: FileNote) -> Iterator[Unit]:
    file = note.file
    try:
        with files.open_binary(file.uri) as opened, pq.ParquetFile(opened) as parquet:
            schema, groups = parquet.schema_arrow, parquet.metadata
            counts = [groups.row_group(at).num_rows for at in range(groups.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        note.findings.append(_damaged(Place(file.order), error))
        return
    note.shape = Shape(fields={field.name: _shape(field.type) for field in schema})
    if _has_image_feature(schema):
        why = "the file's metadata has an Image feature"
        note.findings.append(Finding(Kind.IMAGE_FEATURE, why, Place(file.order)))
    first = 0
    for number, rows in enumerate(counts):
        if rows:
            yield Unit(file, number, first)
        first += rows


_KINDS = (
    (pa.types.is_boolean, BOOL),
    (pa.types.is_integer, INT),
    (pa.types.is_floating, FLOAT),
    (pa.types.is_string, TEXT),
    (pa.types.is_large_string, TEXT),
    (pa.types.is_binary, BINARY),
    (pa.types.is_large_binary, BINARY),
    (pa.types.is_temporal, TIME),
)


def _shape(type: pa.DataType) -> Shape:
    types = pa.types
    if types.is_dictionary(type):
        return _shape(type.value_type)
    if types.is_list(type) or types.is_large_list(type) or types.is_fixed_size_list(type):
        return Shape(item=_shape(type.value_type))
    if types.is_struct(type):
        return Shape(fields={field.name: _shape(field.type) for field in type})
    return Shape(next((bit for is_kind, bit in _KINDS if is_kind(type)), 0))


def _has_image_feature(schema: pa.Schema) -> bool:
    """Returns whether the metadata makes Hugging Face's reader decode images."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except ValueError:
        return False
    waiting: list[Any] = [features]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("_type") == "Image" and value.get("decode", True):
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


def examine(examiner: Examiner) -> None:
    """Passes the rows of its unit to `examiner`, and adds the findings of the unit."""
    unit = examiner.unit
    if unit.chunk is None:
        _examine_parquet(examiner)
    elif unit.chunk.fault:
        of_file = unit.chunk.fault is Reason.SHARD_BREAKS_OFF
        kind = Kind.MALFORMED_JSON if of_file else Kind.FILE_NOT_CHECKED
        place = Place(unit.file.order, unit.first)
        examiner.tally.add(Finding(kind, unit.chunk.detail, place))
    else:
        _examine_json(unit.chunk, examiner)


def _examine_json(chunk: Chunk, examiner: Examiner) -> None:
    unit = examiner.unit
    data = files.read_range(unit.file.uri, chunk.start, chunk.end)
    malformed = []
    for record in inputs.split(chunk, data):
        try:
            value = decode(record.data)
        except ValueError as error:
            examiner.unreadable()
            malformed.append((Place(unit.file.order, record.index), error))
            continue
        examiner.rows([(record.index, value)])
    # LLaMA-Factory reads JSON Lines with Arrow, so Arrow decides whether they are valid.
    # It takes a thousand bytes for each level of a row, thousands for each column, and eight for
    # each row in each column.
    is_deep = any(isinstance(why, TooDeepError) for _, why in malformed)
    columns = examiner.shape.size()
    is_wide = columns > MAX_COLUMNS or columns * chunk.count > MAX_CELLS
    by_arrow = chunk.layout is Layout.LINES and not is_deep and not is_wide
    if is_wide and chunk.layout is Layout.LINES:
        wide = f"the {chunk.count} rows have {columns} different keys"
        examiner.tally.add(Finding(Kind.FILE_NOT_CHECKED, wide, Place(unit.file.order, unit.first)))
    fault = arrow_fault(data) if by_arrow else None
    sound = by_arrow and fault is None
    for place, why in malformed:
        # Arrow accepts bytes that are not valid UTF-8, but training fails when it reads the row.
        lenient = isinstance(why, TooDeepError) or (
            sound and not isinstance(why, UnicodeDecodeError)
        )
        kind = Kind.FILE_NOT_CHECKED if lenient else Kind.MALFORMED_JSON
        examiner.tally.add(Finding(kind, str(why), place))
    if examiner.clash and not sound:
        examiner.tally.add(examiner.clash)
    if fault and not malformed and not examiner.clash and not examiner.has_other_values:
        examiner.tally.add(Finding(Kind.MALFORMED_JSON, fault, Place(unit.file.order, unit.first)))


def arrow_fault(data: bytes) -> str | None:
    """Returns why Arrow, with the options of Hugging Face's reader, rejects JSON Lines, or None."""
    block = BATCH_BYTES // 32
    while True:
        try:
            pj.read_json(io.BytesIO(data), read_options=pj.ReadOptions(block_size=block))
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error) or block > len(data):
                return str(error)[:200]
        except pa.ArrowNotImplementedError as error:
            if block > len(data):
                return str(error)[:200]
        else:
            return None
        block *= 2


def _examine_parquet(examiner: Examiner) -> None:
    unit, wanted = examiner.unit, {*examiner.entry.columns.values(), *USUAL, "id"}
    at = unit.first
    try:
        with (
            files.open_binary(unit.file.uri) as opened,
            pq.ParquetFile(opened, buffer_size=1 << 20) as parquet,
        ):
            columns = [name for name in parquet.schema_arrow.names if name in wanted]
            batches = parquet.iter_batches(
                BATCH_ROWS, row_groups=[unit.number], columns=columns, use_threads=False
            )
            for batch in batches:
                values = batch.to_pylist()
                examiner.rows([(at + place, value) for place, value in enumerate(values)])
                at += len(values)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        examiner.tally.add(_damaged(Place(unit.file.order, at), error))


def has_image(media: str, path: str) -> bool:
    """Returns whether there is an image file below ``media_dir``; see `read_image`."""
    store, root = locate(media)
    try:
        return store.file_at(store.joined(root, path)) is not None
    except (OSError, ValueError):
        return False


def read_image(media: str, path: str) -> bytes | Finding:
    """Returns the bytes of an image file below ``media_dir``, or why it cannot be read.

    Like in LLaMA-Factory, the path in a row is never parsed as an address, only joined to `media`.
    """
    store, root = locate(media)
    name = store.joined(root, path)
    try:
        found = store.file_at(name)
    except (NotADirectoryError, ValueError):
        found = None
    if found is None:
        return Finding(Kind.IMAGE_MISSING, "is not a file below media_dir")
    if found.size > MAX_IMAGE_BYTES:
        return Finding(Kind.IMAGE_HUGE, f"the file has {found.size} bytes")
    return store.read_range(name, 0, found.size)


def _damaged(place: Place, error: Exception) -> Finding:
    """Returns an error of Arrow as a finding. Raises errors of a disk or a store again."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    return Finding(Kind.FILE_UNREADABLE, printable(str(error)[:200]), place)


class FoundRow(msgspec.Struct, frozen=True):
    """A row: its index in the file from 0, its id or "", and a function that reads it."""

    index: int
    id: str
    load: Callable[[], object]


class _Identity(msgspec.Struct):
    id: Any = None


def rows(file: DatasetFile) -> Iterator[FoundRow]:
    """Yields the rows of a file, in order. Raises SourceError if the rest cannot be read."""
    if file.type == "parquet":
        yield from _parquet_rows(file)
        return
    for at, data in enumerate(_json_rows(file)):
        yield FoundRow(at, _id_in(data), partial(_decode, f"{file.uri} row {at}", data))


def lines(uri: str, size: int) -> Iterator[bytes]:
    """Yields the lines that are not blank. Raises SourceError if one exceeds `MAX_LINE_BYTES`."""
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
    head = _head(file, files.read_range(file.uri, 0, min(HEAD_BYTES, file.size)))
    if not isinstance(head, Head):
        raise SourceError(f"{file.uri}: {head.detail}; run beam-mat check for details")
    if head.layout is Layout.LINES:
        yield from lines(file.uri, file.size)
        return
    for unit in units(FileNote(file)):
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
    for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False):
        if place < at + batch.num_rows:
            return batch.slice(place - at, 1).to_pylist()[0]
        at += batch.num_rows
    raise AssertionError(f"row {place} of row group {group}")
