"""What a finished graph adds up to: the totals of its shards, held against what went in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beam_mat.config import Job
from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import LostRecordError
from beam_mat.core.image_statistics import ImageStatistics
from beam_mat.core.notes import MixNote, Part, RejectCount, ShardNote
from beam_mat.core.reject import Reason
from beam_mat.core.settings import PARQUET, Settings
from beam_mat.core.shard_totals import ShardTotals, add_rejected
from beam_mat.core.statistics import Statistics
from beam_mat.storage import files, notes
from beam_mat.storage.images import TABLE_SCHEMA, statistics_of
from beam_mat.storage.parts import parquet_writer

T = TypeVar("T", bound=msgspec.Struct)


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
    """Reads what the graph has added up, shard by shard, and holds it against what went in.

    Raises:
        LostRecordError: A record is neither accepted nor rejected, or is both.
    """
    settings = job.settings
    totals = Totals(0, 0, {}, 0, 0, {}, [], [], set(), set(), _image_table(settings))
    stems = [shard.stem(settings.digest()) for shard in job.shards]
    splits = _each(settings, layout.SHARD_NOTES, stems, ShardNote, "been split")
    split_up: dict[str, tuple[Shard, int]] = {}
    for stem, shard, split in zip(stems, job.shards, splits, strict=True):
        totals.records += split.records
        totals.shard_records[shard.uri] = split.records
        totals.work.add(f"{layout.SHARD_NOTES}/{stem}.json")
        for chunk in split.chunks:
            totals.work.add(f"{layout.REQUEST_NOTES}/{chunk.name}.json")
            totals.work.add(f"{layout.CHUNK_NOTES}/{chunk.name}.json")
        if split.chunks:
            split_up[stem] = shard, split.records
    # Parts and first rejects come in the order of their names, which is that of the stems.
    by_name = sorted(split_up)
    added = _each(settings, layout.SHARD_TOTALS, by_name, ShardTotals, "been added up")
    for stem, found in zip(by_name, added, strict=True):
        totals.work.add(f"{layout.SHARD_TOTALS}/{stem}.json")
        _add_shard(totals, settings, *split_up[stem], found)
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


def _each(
    settings: Settings, folder: str, stems: Sequence[str], kind: type[T], done: str
) -> Iterator[T]:
    try:
        yield from notes.read(settings, folder, stems, kind)
    except FileNotFoundError as error:
        raise LostRecordError(f"a shard has not {done}: there is no {error}") from error


def _add_shard(
    totals: Totals, settings: Settings, shard: Shard, records: int, found: ShardTotals
) -> None:
    if (found.generation, found.shard) != (settings.generation, shard):
        raise LostRecordError(f"{shard.uri}: an earlier run added this shard up, this one did not")
    if found.accepted + found.rejected_records != records:
        raise LostRecordError(
            f"{shard.uri}: {records} records in, {found.accepted} accepted, "
            f"{found.rejected_records} rejected"
        )
    totals.accepted += found.accepted
    totals.respelled += found.respelled
    totals.image_uses += found.image_uses
    totals.statistics.merge(found.statistics)
    totals.parts += found.parts
    totals.rejects += found.rejects
    add_rejected(totals.rejected, found.rejected.values())


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
    rows = 0
    statistics = ImageStatistics()
    scratch = files.join(settings.output, layout.SCRATCH)
    # Of this job alone: those of earlier ones may tell of images that no record asks for any more.
    found = files.find(files.join(settings.output, layout.BATCH_NOTES, settings.generation))
    with files.write(files.join(settings.output, layout.IMAGE_TABLE), scratch) as file:
        with parquet_writer(file, TABLE_SCHEMA) as writer:
            for data in files.read_each(note.uri for _, note in found):
                note = pq.ParquetFile(pa.BufferReader(data))
                table = note.read(TABLE_SCHEMA.names)
                writer.write_table(table)
                rows += table.num_rows
                for one in table["status"].value_counts().to_pylist():
                    status[one["values"]] += one["counts"]
                statistics.merge(statistics_of(note.schema_arrow))
        written = file.result()
    table_part = Part(
        layout.IMAGE_TABLE, PARQUET, layout.IMAGES, rows, 0, written.bytes, written.sha256
    )
    before, after = statistics.formats_before.values(), statistics.formats_after.values()
    return ImageTotals(
        dict(sorted(status.items())),
        sum(amount.bytes for amount in before),
        sum(amount.bytes for amount in after),
        table_part,
        statistics.ordered(),
    )
