"""Parts rewritten with their rows in another company; see `beam_mat.core.mix`."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core.mix import mixed
from beam_mat.core.notes import MixJob, MixNote, Unit
from beam_mat.core.settings import PARQUET, Settings
from beam_mat.storage import files
from beam_mat.storage.parts import (
    GROUP_ROWS,
    SCHEMA,
    open_part,
    parquet_writer,
    part_of,
    place,
)


def mix(settings: Settings, job: MixJob) -> MixNote:
    """Writes the parts that a job makes, in every format.

    The files that are replaced stay where they are; publishing removes those that a reader sees.
    """
    replaced, parts = [], []
    bases = [job.base] if job.base else []
    split = (bases or job.texts)[0].split
    for format in settings.formats:
        old = [place(format, base, aside=False) for base in bases]
        old += [place(format, text, aside=True) for text in job.texts]
        replaced += old
        source = _Rows(settings, format, old)
        for name, image_rows, rows in mixed(job):
            unit = Unit(name, split, image_rows, len(rows))
            path = place(format, unit, aside=False)
            with open_part(settings, path) as file:
                source.copy(rows, file)
            parts.append(part_of(path, format, unit, file))
    return MixNote(settings.generation, job, tuple(replaced), tuple(parts))


class _Rows:
    """The rows of several part files of one format, to be copied in another order."""

    def __init__(self, settings: Settings, format: str, paths: list[str]) -> None:
        uris = [files.join(settings.output, path) for path in paths]
        self._lines: list[bytes] = []
        self._table: pa.Table | None = None
        if format == PARQUET:
            self._table = pa.concat_tables([_read_table(uri) for uri in uris])
        else:
            for uri in uris:
                self._lines += files.read_bytes(uri).splitlines(keepends=True)

    def copy(self, rows: list[int], file: files.HashingWriter) -> None:
        if self._table is None:
            for row in rows:
                file.write(self._lines[row])
            return
        with parquet_writer(file, SCHEMA) as writer:
            for start in range(0, len(rows), GROUP_ROWS):
                writer.write_table(self._table.take(rows[start : start + GROUP_ROWS]))


def _read_table(uri: str) -> pa.Table:
    with files.open_binary(uri) as file:
        return pq.read_table(file)
