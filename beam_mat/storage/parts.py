"""Part files: rows in, JSONL and Parquet out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.core import layout
from beam_mat.core.mix import deal, mixed_names, shares
from beam_mat.core.notes import MixJob, MixNote, Part, Unit
from beam_mat.core.record import Trajectory, Turn
from beam_mat.core.reject import Reject
from beam_mat.core.settings import JSONL, PARQUET, Settings
from beam_mat.storage import files


# Arrow's own allocator keeps what the largest row groups needed: 70 MB over a long job.
pa.set_memory_pool(pa.system_memory_pool())


class Row(msgspec.Struct, frozen=True):
    """A row as LLaMA-Factory reads it; `images` are paths relative to the output folder."""

    messages: tuple[Turn, ...]
    images: tuple[str, ...]
    system: str
    id: str


def row_of(trajectory: Trajectory) -> Row:
    """The row of an accepted record."""
    images = tuple(f"{layout.IMAGES}/{path}" for path in trajectory.images)
    return Row(trajectory.turns, images, trajectory.system, trajectory.id)


SCHEMA = pa.schema(
    [
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
        ("system", pa.string()),
        ("id", pa.string()),
    ]
)
"""Of the Parquet parts. No Hugging Face metadata: it would make the reader re-encode images."""

GROUP_ROWS = 100
GROUP_BYTES = 32 << 20

_ROLE = "messages.list.element.role"
_BYTES = "images.list.element.bytes"
_PLAIN = ("messages.list.element.content", "images.list.element.path", "id")


def parquet_writer(file: files.HashingWriter, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer for the project's Parquet files. Images are compressed already."""
    names = [_ROLE, _BYTES, *_PLAIN, "system"] if schema is SCHEMA else schema.names
    return pq.ParquetWriter(
        file,
        schema,
        compression={name: "none" if name == _BYTES else "zstd" for name in names},
        use_dictionary=[_ROLE, "system"] if schema is SCHEMA else False,
        write_statistics=False,
    )


def write_unit(settings: Settings, unit: Unit, rows: Sequence[Row], *, aside: bool) -> list[Part]:
    """Writes the same rows in each format that was asked for.

    Args:
        settings: Formats and output folder.
        unit: Name, split and counts.
        rows: In the order in which they are to stand.
        aside: Whether to write where no reader looks: text-only rows that wait to be mixed.
    """
    parts = []
    for format in settings.formats:
        path = _place(format, unit, aside=aside)
        with _open(settings, path) as file:
            if format == JSONL:
                for row in rows:
                    file.write(msgspec.json.encode(row) + b"\n")
            else:
                with parquet_writer(file, SCHEMA) as writer:
                    for group in _groups(settings, rows):
                        writer.write_table(group)
        parts.append(_part(path, format, unit, file))
    return parts


def _part(path: str, format: str, unit: Unit, file: files.HashingWriter) -> Part:
    written = file.result()
    return Part(path, format, unit.split, unit.rows, unit.image_rows, written.bytes, written.sha256)


def write_rejects(settings: Settings, name: str, rejects: Sequence[Reject]) -> Part:
    """Writes the rejected records of a chunk."""
    path = f"{layout.REJECTS}/{name}.jsonl"
    with _open(settings, path) as file:
        for reject in rejects:
            file.write(msgspec.json.encode(reject) + b"\n")
    return _part(path, JSONL, Unit(name, layout.REJECTS, 0, len(rejects)), file)


def _open(settings: Settings, path: str) -> contextlib.AbstractContextManager[files.HashingWriter]:
    return files.write(
        files.join(settings.output, path), files.join(settings.output, layout.SCRATCH)
    )


def _place(format: str, unit: Unit, *, aside: bool) -> str:
    path = layout.part(format, unit.split, unit.name)
    return f"{layout.TEXT_ONLY}/{path}" if aside else path


def _groups(settings: Settings, rows: Sequence[Row]) -> Iterator[pa.Table]:
    """Row groups with the images' bytes, read back from where the image step wrote them."""
    group: list[dict[str, object]] = []
    size = 0
    for row in rows:
        images = []
        for path in row.images:
            data = files.read_bytes(files.join(settings.output, path))
            images.append({"bytes": data, "path": path})
            size += len(data)
        messages = [{"role": turn.role, "content": turn.content} for turn in row.messages]
        group.append({"messages": messages, "images": images, "system": row.system, "id": row.id})
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield pa.Table.from_pylist(group, SCHEMA)
            group, size = [], 0
    if group:
        yield pa.Table.from_pylist(group, SCHEMA)


def mix(settings: Settings, job: MixJob) -> MixNote:
    """Deals text-only units in with the rows of a unit that has images.

    The files that are replaced stay where they are; publishing removes what is not in the manifest.
    """
    if job.base is None:
        return _publish_texts(settings, job)
    names = mixed_names(job)
    image_shares = shares(job.base.image_rows, len(names))
    own_texts = job.base.rows - job.base.image_rows
    replaced, parts = [], []
    for format in settings.formats:
        base_path = _place(format, job.base, aside=False)
        text_paths = [_place(format, text, aside=True) for text in job.texts]
        replaced += [base_path, *text_paths]
        source = _Rows(settings, format, [base_path, *text_paths])
        order = deal(range(job.base.image_rows), range(job.base.image_rows, job.base.rows))
        at = {number: place for place, number in enumerate(order)}
        ends = [job.base.rows]
        for text in job.texts:
            ends.append(ends[-1] + text.rows)
        for number, name in enumerate(names):
            images = [at[image] for image in image_shares[number]]
            texts = (
                [at[job.base.image_rows + text] for text in range(own_texts)] if number == 0 else []
            )
            for index in range(number, len(job.texts), len(names)):
                texts += range(ends[index], ends[index + 1])
            rows = deal(images, texts)
            unit = Unit(name, job.base.split, len(images), len(rows))
            path = _place(format, unit, aside=False)
            with _open(settings, path) as file:
                source.copy(rows, file)
            parts.append(_part(path, format, unit, file))
    return MixNote(tuple(replaced), tuple(parts))


def _publish_texts(settings: Settings, job: MixJob) -> MixNote:
    replaced, parts = [], []
    for unit in job.texts:
        for format in settings.formats:
            aside = _place(format, unit, aside=True)
            path = _place(format, unit, aside=False)
            data = files.read_bytes(files.join(settings.output, aside))
            with _open(settings, path) as file:
                file.write(data)
            replaced.append(aside)
            parts.append(_part(path, format, unit, file))
    return MixNote(tuple(replaced), tuple(parts))


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
