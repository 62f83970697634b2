"""The table of images of a watched dataset, kept current from the notes that batches leave."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.notes import Part
from beam_mat.core.reject import Reason
from beam_mat.core.settings import Settings
from beam_mat.storage import files, generations
from beam_mat.storage.images import TABLE_SCHEMA
from beam_mat.totals import ImageTotals

Row = dict[str, Any]
NOTES_AT_ONCE = 64


class Pictures:
    """The table, and which notes have gone into it.

    Attributes:
        table: As `images.parquet`.
    """

    def __init__(self, settings: Settings, table: pa.Table) -> None:
        self._folder = files.join(settings.output, layout.BATCH_NOTES, settings.generation)
        self._adopted: list[Row] = []
        self._read: dict[str, tuple[int, str]] = {}
        self.table = table

    def newer(self) -> pa.Table:
        """Rows that notes have and the table has not, or has otherwise."""
        fresh = [
            file
            for name, file in files.find(self._folder)
            if self._read.get(name) != (file.size, file.version)
        ]
        rows: dict[str, Row] = {}
        self._fold(rows, self._adopted)
        self._adopted = []
        # Of notes that tell of the same image the one that was written last is right. Not all at
        # once: a run that begins reads all that there are, and most say what the table says.
        fresh.sort(key=_age)
        for begin in range(0, len(fresh), NOTES_AT_ONCE):
            block = fresh[begin : begin + NOTES_AT_ONCE]
            told: list[Row] = []
            for data in files.read_each(file.uri for file in block):
                told += pq.read_table(pa.BufferReader(data), schema=TABLE_SCHEMA).to_pylist()
            self._fold(rows, told)
        for file in fresh:
            self._read[file.uri[len(self._folder) + 1 :]] = (file.size, file.version)
        return pa.Table.from_pylist([rows[path] for path in sorted(rows)], TABLE_SCHEMA)

    def _fold(self, rows: dict[str, Row], told: list[Row]) -> None:
        """Adds to `rows` what is told and not in the table, and takes away what is there again."""
        last: dict[str, Row] = {}
        for row in told:
            if row["path"] not in last or row["status"] != Reason.IMAGE_MISSING:
                last[row["path"]] = row
        known = {row["path"]: row for row in self._known(list(last))}
        for path, row in last.items():
            if row["status"] == Reason.IMAGE_MISSING and (path in rows or path in known):
                continue  # what was there once is not missing because a zip was not listed yet
            if row == known.get(path):
                rows.pop(path, None)
            else:
                rows[path] = row

    def adopt(self, output: str) -> None:
        """Has `newer` give a conversion's rows too."""
        data = pa.BufferReader(files.read_bytes(files.join(output, layout.IMAGE_TABLE)))
        self._adopted = pq.read_table(data, schema=TABLE_SCHEMA).to_pylist()

    def _known(self, paths: list[str]) -> list[Row]:
        wanted = pa.array(paths, pa.string())
        return list(self.table.filter(pc.is_in(self.table["path"], value_set=wanted)).to_pylist())

    def table_with(self, newer: pa.Table) -> pa.Table:
        """The table with newer rows."""
        return generations.merged(self.table, newer) if newer.num_rows else self.table


def _age(file: files.FileInfo) -> tuple[float, str]:
    try:
        return float(file.version), file.uri
    except ValueError:  # a version that is no time and no number
        return 0.0, file.uri


def image_totals(table: pa.Table, part: Part) -> ImageTotals:
    """The images of a table, added up."""
    usable = table.filter(pc.is_valid(table["sha256"]))
    status = Counter(table["status"].to_pylist())
    return ImageTotals(
        dict(sorted(status.items())),
        pc.sum(usable["source_bytes"]).as_py() or 0,
        pc.sum(usable["bytes"]).as_py() or 0,
        part,
    )
