"""Reads part files by row, and writes rows of several of them to one."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from mat_trainer.core.order import Row
from mat_trainer.core.subset import JSONL
from mat_trainer.dataset.images import pyarrow

GROUP_ROWS = 100
GROUP_BYTES = 16 << 20
_GROUPS_AT_HAND = 4


class _Line(msgspec.Struct):
    images: list[msgspec.Raw] | None = None


def image_rows(path: Path, format: str) -> list[bool]:
    """Whether each row of a part has images."""
    if format == JSONL:
        with path.open("rb") as lines:
            return [bool(msgspec.json.decode(line, type=_Line).images) for line in lines]
    found: list[bool] = []
    with _open(path) as file:
        # Reads the images' paths, not their bytes.
        names = [file.schema.column(number).path for number in range(len(file.schema))]
        name = next(n for n in names if n.startswith("images.") and n.endswith(".path"))
        for group in range(file.num_row_groups):
            column = file.read_row_group(group, columns=[name]).column("images")
            found += [bool(images) for images in column.to_pylist()]
    return found


def write(folder: Path, format: str, rows: Sequence[Row], target: Path) -> None:
    """Writes rows of parts below `folder`, in this order, as one part of the same format."""
    if format == JSONL:
        _write_lines(folder, rows, target)
    else:
        _write_groups(folder, rows, target)


def _write_lines(folder: Path, rows: Sequence[Row], target: Path) -> None:
    starts = {part: _line_starts(folder / part) for part in {part for part, _ in rows}}
    with target.open("wb") as out:
        # Most neighbours are of one part, so a file is opened once for each stretch of rows.
        for part, stretch in itertools.groupby(rows, key=lambda row: row[0]):
            with (folder / part).open("rb") as lines:
                for _, row in stretch:
                    lines.seek(starts[part][row])
                    out.write(lines.readline().rstrip(b"\n") + b"\n")


def _line_starts(path: Path) -> list[int]:
    with path.open("rb") as lines:
        return [0, *itertools.accumulate(len(line) for line in lines)]


def _write_groups(folder: Path, rows: Sequence[Row], target: Path) -> None:
    pa, pq = pyarrow()
    files = {part: _open(folder / part) for part in dict.fromkeys(part for part, _ in rows)}
    starts = {part: _group_starts(file) for part, file in files.items()}

    @lru_cache(maxsize=_GROUPS_AT_HAND)
    def group(part: str, number: int) -> Any:
        return files[part].read_row_group(number)

    def place(row: Row) -> tuple[str, int]:
        part, number = row
        return part, bisect_right(starts[part], number) - 1

    def tables() -> Iterator[Any]:
        for (part, number), stretch in itertools.groupby(rows, key=place):
            begin = starts[part][number]
            yield group(part, number).take([row - begin for _, row in stretch])

    first = next(iter(files.values()))
    columns = first.metadata.row_group(0)
    codecs = {
        column.path_in_schema: "none"
        if column.compression == "UNCOMPRESSED"
        else column.compression
        for column in (columns.column(number) for number in range(columns.num_columns))
    }
    options = {"compression": codecs, "use_dictionary": False, "write_statistics": False}
    with pq.ParquetWriter(target, first.schema_arrow, **options) as writer:
        for table in _grouped(pa, tables()):
            writer.write_table(table)
    for file in files.values():
        file.close()


def _grouped(pa: Any, tables: Iterator[Any]) -> Iterator[Any]:
    """Tables of about `GROUP_ROWS` rows, one for each row group."""
    held: list[Any] = []
    rows = size = 0
    for table in tables:
        for at in range(0, table.num_rows, GROUP_ROWS):
            piece = table.slice(at, GROUP_ROWS)
            if held and (rows + piece.num_rows > GROUP_ROWS or size + piece.nbytes > GROUP_BYTES):
                yield pa.concat_tables(held)
                held, rows, size = [], 0, 0
            held.append(piece)
            rows += piece.num_rows
            size += piece.nbytes
    if held:
        yield pa.concat_tables(held)


def _group_starts(file: Any) -> list[int]:
    counts = (file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))
    return [0, *itertools.accumulate(counts)][:-1]


def _open(path: Path) -> Any:
    return pyarrow()[1].ParquetFile(path)
