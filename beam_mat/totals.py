"""What a finished graph adds up to: every unit's note read, and held against the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.config import Job
from beam_mat.core import layout
from beam_mat.core.chunk import Chunk
from beam_mat.core.errors import LostRecordError
from beam_mat.core.image_statistics import ImageStatistics
from beam_mat.core.notes import ChunkNote, MixNote, Part, RejectCount, ShardNote
from beam_mat.core.reject import Reason
from beam_mat.core.settings import PARQUET, Settings
from beam_mat.core.statistics import Statistics
from beam_mat.storage import files, notes
from beam_mat.storage.images import TABLE_SCHEMA, images_of
from beam_mat.storage.parts import parquet_writer


class ImageTotals(msgspec.Struct):
    """The images of a dataset, added up.

    Attributes:
        status: How many were kept, resized, converted, and faulty for each reason.
        source_bytes: Bytes of the usable ones before.
        bytes: Bytes of the usable ones after.
        table: images.parquet.
        statistics: What the usable ones are like.
    """

    status: dict[str, int]
    source_bytes: int
    bytes: int
    table: Part
    statistics: ImageStatistics = msgspec.field(default_factory=ImageStatistics)


class Totals(msgspec.Struct):
    """A finished graph, added up.

    Attributes:
        records: Records in, as the split counted them.
        accepted: Records in the dataset.
        rejected: The others, by reason, with the first of each.
        respelled: Words respelled.
        image_uses: Images of accepted records, repetitions counted.
        shard_records: Records of each shard, by uri.
        parts: The dataset's part files.
        rejects: The files of rejected records.
        replaced: Paths of part files that others have taken the place of.
        work: Paths below the work folder that the next run can go on from.
        images: The images.
        statistics: What the records are like.
    """

    records: int
    accepted: int
    rejected: dict[Reason, RejectCount]
    respelled: int
    image_uses: int
    shard_records: dict[str, int]
    parts: list[Part]
    rejects: list[Part]
    replaced: set[str]
    work: set[str]
    images: ImageTotals
    statistics: Statistics = msgspec.field(default_factory=Statistics)

    @property
    def rejected_records(self) -> int:
        """Number of rejected records."""
        return sum(found.count for found in self.rejected.values())


def add_up(job: Job) -> Totals:
    """Reads the notes of all units and holds them against each other.

    Raises:
        LostRecordError: A record is neither accepted nor rejected, or is both.
    """
    settings = job.settings
    totals = Totals(0, 0, {}, 0, 0, {}, [], [], set(), set(), _image_table(settings))
    chunks: list[Chunk] = []
    for shard, split in zip(job.shards, _shard_notes(job), strict=True):
        chunks += (msgspec.structs.replace(chunk, shard=shard) for chunk in split.chunks)
        totals.records += split.records
        totals.shard_records[shard.uri] = split.records
    chunks.sort(key=lambda chunk: chunk.name)
    for chunk, note in zip(chunks, _chunk_notes(settings, chunks), strict=True):
        _add_chunk(totals, settings, chunk, note)
    if totals.accepted + totals.rejected_records != totals.records:
        raise LostRecordError(
            f"{totals.records} records in, {totals.accepted} accepted, "
            f"{totals.rejected_records} rejected"
        )
    _apply_mixes(settings, totals)
    for format in settings.formats:
        rows = sum(part.rows for part in totals.parts if part.format == format)
        if rows != totals.accepted:
            raise LostRecordError(f"{totals.accepted} records accepted, {rows} rows in {format}")
    return totals


def _shard_notes(job: Job) -> list[ShardNote]:
    stems = [shard.stem(job.settings.digest()) for shard in job.shards]
    try:
        return list(notes.read(job.settings, layout.SHARD_NOTES, stems, ShardNote))
    except FileNotFoundError as error:
        raise LostRecordError(f"a shard has not been split: there is no {error}") from error


def _chunk_notes(settings: Settings, chunks: Sequence[Chunk]) -> Iterator[ChunkNote]:
    names = (chunk.name for chunk in chunks)
    try:
        yield from notes.read(settings, layout.CHUNK_NOTES, names, ChunkNote)
    except FileNotFoundError as error:
        raise LostRecordError(f"a chunk has not been written: there is no {error}") from error


def _add_chunk(totals: Totals, settings: Settings, chunk: Chunk, note: ChunkNote) -> None:
    where = f"{chunk.shard.uri}, bytes {chunk.start} to {chunk.end}"
    if (note.generation, note.chunk) != (settings.generation, chunk):
        raise LostRecordError(f"{where}: an earlier run wrote this chunk, this one did not")
    rejected = sum(found.count for found in note.rejected)
    if note.accepted + rejected != chunk.count:
        raise LostRecordError(
            f"{where}: {chunk.count} records in, {note.accepted} accepted, {rejected} rejected"
        )
    totals.accepted += note.accepted
    totals.respelled += note.respelled
    totals.image_uses += note.image_uses
    totals.statistics.merge(note.statistics)
    totals.parts += note.parts
    totals.rejects += [note.rejects] if note.rejects else []
    for found in note.rejected:
        known = totals.rejected.get(found.reason)
        totals.rejected[found.reason] = (
            msgspec.structs.replace(known, count=known.count + found.count) if known else found
        )
    stem = chunk.shard.stem(settings.digest())
    totals.work.add(f"{layout.SHARD_NOTES}/{stem}.json")
    for folder in (layout.REQUEST_NOTES, layout.CHUNK_NOTES):
        totals.work.add(f"{folder}/{chunk.name}.json")


def _apply_mixes(settings: Settings, totals: Totals) -> None:
    added: list[Part] = []
    for note in notes.collect(settings, layout.MIXED_NOTES, MixNote):
        if note.generation == settings.generation:
            totals.work.add(f"{layout.MIXED_NOTES}/{note.job.name}.json")
            totals.replaced.update(note.replaced)
            added += note.parts
    # Text-only parts stay where no reader looks: their chunks need not be written again.
    aside = {part.path for part in totals.parts if part.path.startswith(f"{layout.TEXT_ONLY}/")}
    totals.work |= aside
    if left := sorted(aside - totals.replaced):
        raise LostRecordError(f"{left[0]}: its rows have not been mixed with others")
    kept = [part for part in totals.parts if part.path not in totals.replaced]
    totals.parts = sorted(kept + added, key=lambda part: part.path)


def _image_table(settings: Settings) -> ImageTotals:
    status: Counter[str] = Counter()
    before = after = rows = 0
    statistics = ImageStatistics()
    scratch = files.join(settings.output, layout.SCRATCH)
    # Of this job alone: those of earlier ones may tell of images that no record asks for any more.
    found = files.find(files.join(settings.output, layout.BATCH_NOTES, settings.generation))
    with files.write(files.join(settings.output, layout.IMAGE_TABLE), scratch) as file:
        with parquet_writer(file, TABLE_SCHEMA) as writer:
            for data in files.read_each(note.uri for _, note in found):
                table = pq.read_table(pa.BufferReader(data), schema=TABLE_SCHEMA)
                writer.write_table(table)
                rows += table.num_rows
                status.update(table["status"].to_pylist())
                for image in images_of(table):
                    before += image.before.bytes
                    after += image.after.bytes
                    statistics.add(image)
        written = file.result()
    table_part = Part(
        layout.IMAGE_TABLE, PARQUET, layout.IMAGES, rows, 0, written.bytes, written.sha256
    )
    by_status = dict(sorted(status.items()))
    return ImageTotals(by_status, before, after, table_part, statistics.ordered())
