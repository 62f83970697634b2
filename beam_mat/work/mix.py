"""Rewrites parts so that text-only rows alternate with image rows; see `core.mix`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.mix import mixed
from beam_mat.core.results import MixJob, MixOutput, Unit
from beam_mat.core.settings import PARQUET, Settings
from beam_mat.storage import files
from beam_mat.storage.parts import (
    GROUP_ROWS,
    SCHEMA,
    all_there,
    location,
    open_part,
    parquet_writer,
    part_of,
    place,
)
from beam_mat.work import results


def mix(settings: Settings, job: MixJob, before: Iterable[MixOutput] = ()) -> MixOutput:
    """Writes the parts of a job in every format, unless an earlier run has written them.

    The parts that they replace are not moved or removed here. A commit does that.

    Args:
        settings: The settings.
        job: The units to mix.
        before: Mixes of the dataset. If the parts of a unit were removed, its rows are read from
            the mix that has them.

    Raises:
        FileNotFoundError: The rows of a unit do not exist.
    """
    before = list(before)
    found = results.find(settings, layout.MIXES, job.name, MixOutput)
    if found and all_there(settings, found.parts):
        return found
    replaced, parts = [], []
    for format in settings.formats:
        old = [place(format, unit) for unit in job.inputs()]
        replaced += old
        source = _Rows(settings, format, job.inputs(), before)
        for name, image_rows, rows in mixed(job):
            unit = Unit(name, job.split, image_rows, len(rows))
            path = layout.part(format, unit.split, unit.name)
            with open_part(settings, path) as file:
                source.copy(rows, file)
            parts.append(part_of(path, format, unit, file))
    output = MixOutput(job, tuple(replaced), tuple(parts))
    results.write(settings, layout.MIXES, job.name, output)
    return output


class _Rows:
    """The rows of several units in one format, for copying in another order."""

    def __init__(
        self,
        settings: Settings,
        format: str,
        units: Iterable[Unit],
        before: Sequence[MixOutput],
    ) -> None:
        self._lines: list[bytes] = []
        self._table: pa.Table | None = None
        tables = []
        for unit in units:
            uri = location(settings.output, place(format, unit))
            uris, order = [uri], None
            if not files.exists(uri):
                uris, order = _in_mix(settings, format, unit, before) or (uris, None)
            if format == PARQUET:
                table = pa.concat_tables([_read_table(one) for one in uris])
                tables.append(table if order is None else table.take(order))
            else:
                lines = [line for one in uris for line in _read_lines(one)]
                self._lines += lines if order is None else [lines[at] for at in order]
        if format == PARQUET:
            self._table = pa.concat_tables(tables)

    def copy(self, rows: list[int], file: files.HashingWriter) -> None:
        if self._table is None:
            for row in rows:
                file.write(self._lines[row])
            return
        with parquet_writer(file, SCHEMA) as writer:
            for start in range(0, len(rows), GROUP_ROWS):
                writer.write_table(self._table.take(rows[start : start + GROUP_ROWS]))


def _in_mix(
    settings: Settings, format: str, unit: Unit, before: Iterable[MixOutput]
) -> tuple[list[str], list[int]] | None:
    """Returns the parts of a mix that has a unit, and the indexes of the unit's rows in them."""
    for one in before:
        inputs = one.job.inputs()
        if unit in inputs:
            first = sum(other.rows for other in inputs[: inputs.index(unit)])
            rows = (row for made in mixed(one.job) for row in made.rows)
            at = {row: number for number, row in enumerate(rows)}
            uris = [
                location(settings.output, part.path) for part in one.parts if part.format == format
            ]
            return uris, [at[row] for row in range(first, first + unit.rows)]
    return None


def _read_lines(uri: str) -> list[bytes]:
    return files.read_bytes(uri).splitlines(keepends=True)


def _read_table(uri: str) -> pa.Table:
    with files.open_binary(uri) as file:
        return pq.read_table(file)
