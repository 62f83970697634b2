"""Image tables. A conversion writes one complete table; a watch adds tables with new rows."""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.reject import Reason
from beam_mat.core.results import Part
from beam_mat.core.settings import PARQUET
from beam_mat.core.statistics import ImageStatistics
from beam_mat.dataset.commit import ImageTotals
from beam_mat.storage import files
from beam_mat.storage.parts import parquet_writer
from beam_mat.work import images
from beam_mat.work.images import TABLE_SCHEMA

_TOTALS = b"totals"
"""Key in the metadata of a complete table; the other is `images.STATISTICS`."""


def write_whole(output: str, names: Iterable[str]) -> tuple[Part, ImageTotals]:
    """Writes the table of all images of a conversion from its image results.

    No two of the results with these names have a row for the same path.
    """
    names = sorted(names)
    status: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    statistics = ImageStatistics()
    path = _path("\n".join(names).encode())
    with _create(output, path) as file:
        with parquet_writer(file, TABLE_SCHEMA) as writer:
            for table, some in images.read_rows(output, names):
                writer.write_table(table)
                status.update(table["status"].to_pylist())
                notes.update(_notes(table))
                statistics.merge(some)
            sums = ImageTotals(
                dict(sorted(status.items())),
                sum(amount.bytes for amount in statistics.formats_before.values()),
                sum(amount.bytes for amount in statistics.formats_after.values()),
                dict(sorted(notes.items())),
            )
            writer.add_key_value_metadata(
                {
                    _TOTALS: msgspec.json.encode(sums),
                    images.STATISTICS: msgspec.json.encode(statistics.ordered()),
                }
            )
        return _part(path, status.total(), file.result()), sums


def write_rows(output: str, table: pa.Table) -> Part:
    """Writes a table of images that a commit adds."""
    rows = table.sort_by("path")
    path = _path(msgspec.json.encode(rows.to_pylist()))
    with _create(output, path) as file:
        with parquet_writer(file, TABLE_SCHEMA) as writer:
            writer.write_table(rows)
        return _part(path, rows.num_rows, file.result())


def write_view(output: str, parts: Sequence[Part], table: pa.Table | None = None) -> Part:
    """Writes images.parquet from the image tables of a snapshot.

    `table` has their rows, if they are in memory already.
    """
    scratch = files.join(output, layout.SCRATCH)
    with files.write(files.join(output, layout.IMAGE_TABLE), scratch) as file:
        if len(parts) == 1:
            for block in files.read_blocks(files.join(output, parts[0].path), 0, parts[0].bytes):
                file.write(block)
            rows = parts[0].rows
        else:
            table = read(output, parts) if table is None else table.sort_by("path")
            rows = table.num_rows
            with parquet_writer(file, TABLE_SCHEMA) as writer:
                writer.write_table(table)
        return _part(layout.IMAGE_TABLE, rows, file.result())


def read(output: str, parts: Iterable[Part], columns: list[str] | None = None) -> pa.Table:
    """Returns the rows of image tables, sorted by path if there are several tables.

    If several rows have the same path, the last one counts. `columns` must include the path.
    """
    tables = []
    for part in parts:
        with files.open_binary(files.join(output, part.path)) as file:
            table = pq.read_table(file, schema=TABLE_SCHEMA, columns=columns)
        if "file" in table.column_names:
            _require_inside(part.path, table["file"])
        tables.append(table.replace_schema_metadata())
    if not tables:
        return TABLE_SCHEMA.empty_table()
    merged = functools.reduce(merge, tables)
    return merged if len(tables) == 1 else merged.sort_by("path").combine_chunks()


def merge(table: pa.Table, newer: pa.Table) -> pa.Table:
    """Returns the rows of two tables; rows of `newer` replace rows with the same path."""
    if not newer.num_rows:
        return table
    old = table.filter(pc.invert(pc.is_in(table["path"], value_set=newer["path"])))
    return pa.concat_tables([old, newer]).combine_chunks()


def newer_rows(
    output: str, table: pa.Table, shards: Iterable[tuple[Set[str], Iterable[str]]]
) -> pa.Table:
    """Returns the rows of shards that a table does not have yet.

    If several rows have the same path, the last one counts, except that a missing image never
    replaces another row: an image must not become missing only because a zip is not listed yet.
    `shards` has, for each shard, the image paths in its records and the names of its image results.
    """
    missing = Reason.IMAGE_MISSING.value
    rows: dict[str, dict[str, object]] = {}
    for paths, names in shards:
        wanted = pa.array(sorted(paths), pa.string())
        for found, _ in images.read_rows(output, names):
            for row in found.filter(pc.is_in(found["path"], value_set=wanted)).to_pylist():
                if row["path"] not in rows or row["status"] != missing:
                    rows[row["path"]] = row
    known = table.filter(pc.is_in(table["path"], value_set=pa.array(list(rows), pa.string())))
    for row in known.to_pylist():
        newer = rows[row["path"]]
        if newer == row or newer["status"] == missing:
            del rows[row["path"]]
    return pa.Table.from_pylist([rows[path] for path in sorted(rows)], TABLE_SCHEMA)


def totals(table: pa.Table) -> ImageTotals:
    """Returns the totals of a table."""
    usable = table.filter(pc.is_valid(table["file"]))
    status = Counter(table["status"].to_pylist())
    return ImageTotals(
        dict(sorted(status.items())),
        pc.sum(usable["source_bytes"]).as_py() or 0,
        pc.sum(usable["bytes"]).as_py() or 0,
        dict(sorted(Counter(_notes(table)).items())),
    )


def _notes(table: pa.Table) -> Iterator[str]:
    for note in table["note"].drop_null().to_pylist():
        yield from note.split(", ")


def statistics(output: str, parts: Sequence[Part]) -> ImageStatistics:
    """Returns the statistics of the images of a snapshot, for the report."""
    if len(parts) == 1:
        with files.open_binary(files.join(output, parts[0].path)) as file:
            metadata = pq.ParquetFile(file).metadata.metadata or {}
        if found := metadata.get(images.STATISTICS):
            return msgspec.json.decode(found, type=ImageStatistics)
    return images.statistics_of(read(output, parts))


def usable(output: str, path: str, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yields file and other columns of every usable image that a table lists."""
    names = ["file", *columns]
    with files.open_binary(files.join(output, path)) as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=names):
            _require_inside(path, batch["file"])
            for row in zip(*(batch[name].to_pylist() for name in names), strict=True):
                if row[0] is not None:
                    yield row


def find_files(output: str, paths: Sequence[str]) -> dict[str, str]:
    """Returns the image files of published paths, as far as images.parquet has them."""
    wanted = pa.array(paths, pa.string())
    found: dict[str, str] = {}
    with files.open_binary(files.join(output, layout.IMAGE_TABLE)) as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=["path", "file"]):
            rows = batch.filter(pc.is_in(batch["path"], value_set=wanted))
            _require_inside(layout.IMAGE_TABLE, rows["file"])
            found.update((row["path"], row["file"]) for row in rows.to_pylist() if row["file"])
    return found


def _require_inside(table: str, column: Any) -> None:
    """Raises a ConfigError if a file in a table, which others may have made, is not in images/."""
    inside = pc.starts_with(column, f"{layout.IMAGES}/")
    doubtful = pc.or_(pc.invert(inside), pc.match_substring_regex(column, layout.MAYBE_UNSAFE))
    for path in column.filter(doubtful).drop_null().to_pylist():
        if not path.startswith(f"{layout.IMAGES}/") or layout.unsafe(path):
            fault = f"{table} lists the file {path[:200]!r}, which is no image of a dataset"
            raise ConfigError([f"{fault}; restore the table, or convert again"])


def count_usable(
    output: str, tables: Iterable[str], places: Sequence[tuple[str, str]]
) -> list[int]:
    """Returns for each place how many usable images it has. A place is a prefix and a suffix."""
    counts = [0] * len(places)
    for table in tables:
        with files.open_binary(files.join(output, table)) as file:
            for batch in pq.ParquetFile(file).iter_batches(columns=["path", "file"]):
                paths = batch["path"].filter(pc.is_valid(batch["file"]))
                for at, (begin, end) in enumerate(places):
                    has_both = pc.and_(pc.starts_with(paths, begin), pc.ends_with(paths, end))
                    counts[at] += pc.sum(has_both).as_py() or 0
    return counts


def bytes_by_source(output: str, tables: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Returns the number of usable images of each source, and their bytes in it, by URI."""
    found: dict[str, tuple[int, int]] = {}
    for table in tables:
        for _, source, size in usable(output, table, "source", "source_bytes"):
            number, total = found.get(source, (0, 0))
            found[source] = (number + 1, total + size)
    return found


def files_of(output: str, paths: Iterable[str]) -> set[str]:
    """Returns the paths of the image files in the image tables at these paths."""
    return {file for path in paths for (file,) in usable(output, path)}


def _create(output: str, path: str) -> AbstractContextManager[files.HashingWriter]:
    return files.write_new(files.join(output, path), files.join(output, layout.SCRATCH))


def _path(key: bytes) -> str:
    return f"{layout.GENERATIONS}/{hashlib.sha256(key).hexdigest()[:16]}.images.parquet"


def _part(path: str, rows: int, written: files.Written) -> Part:
    return Part(path, PARQUET, layout.IMAGES, rows, 0, written.bytes, written.sha256)
