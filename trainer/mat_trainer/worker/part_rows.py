"""Rows of part files, in pieces that are small enough to distribute to processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

PIECE_ROWS = 100


class Piece(NamedTuple):
    """Consecutive rows of a part.

    Attributes:
        entry: The registry entry of the part.
        part: The part's path below the dataset's folder.
        first: Number of the first row in the part.
        rows: How many rows.
        place: The first byte in JSONL, or the row group in Parquet.
    """

    entry: str
    part: str
    first: int
    rows: int
    place: int


def pieces(folder: Path, entry: str, part: str) -> Iterator[Piece]:
    """Cuts a part into pieces; a row group of Parquet stays whole."""
    cut = _parquet_places if part.endswith(".parquet") else _jsonl_places
    first = 0
    for rows, place in cut(folder / part):
        yield Piece(entry, part, first, rows, place)
        first += rows


def read(folder: Path, piece: Piece) -> Iterator[dict[str, Any]]:
    """The rows of a piece, as LLaMA-Factory's loader returns them."""
    path = folder / piece.part
    if piece.part.endswith(".parquet"):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=8, row_groups=[piece.place]):
                yield from batch.to_pylist()
        return
    with path.open("rb") as lines:
        lines.seek(piece.place)
        for _ in range(piece.rows):
            yield json.loads(lines.readline())


def _parquet_places(path: Path) -> Iterator[tuple[int, int]]:
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.metadata.row_group(group).num_rows, group


def _jsonl_places(path: Path) -> Iterator[tuple[int, int]]:
    rows = begin = at = 0
    with path.open("rb") as lines:
        for line in lines:
            rows, at = rows + 1, at + len(line)
            if rows == PIECE_ROWS:
                yield rows, begin
                rows, begin = 0, at
    if rows:
        yield rows, begin
