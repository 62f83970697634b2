"""What a finished graph adds up to: every unit's note read, and held against the others."""

from __future__ import annotations

from collections import Counter

import msgspec
import pyarrow.parquet as pq

from beam_mat.config import Job
from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.notes import ChunkNote, MixNote, Part, RejectCount, ShardNote
from beam_mat.core.reject import Reason
from beam_mat.core.settings import PARQUET, Settings
from beam_mat.storage import files, notes
from beam_mat.storage.images import TABLE_SCHEMA
from beam_mat.storage.parts import parquet_writer


class ImageTotals(msgspec.Struct):
    """The images of a dataset, added up.

    Attributes:
        status: How many were kept, resized, converted, and faulty for each reason.
        source_bytes: Bytes of the usable ones before.
        bytes: Bytes of the usable ones after.
        table: images.parquet.
    """

    status: dict[str, int]
    source_bytes: int
    bytes: int
    table: Part


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
        images: The images.
    """

    records: int
    accepted: int
    rejected: dict[Reason, RejectCount]
    respelled: int
    image_uses: int
    shard_records: dict[str, int]
    parts: list[Part]
    rejects: list[Part]
    images: ImageTotals

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
    shard_notes = list(notes.collect(settings, layout.SHARD_NOTES, ShardNote))
    of_shard: Counter[str] = Counter()
    chunks_of: Counter[str] = Counter()
    totals = Totals(0, 0, {}, 0, 0, {}, [], [], _image_table(settings))
    for note in notes.collect(settings, layout.CHUNK_NOTES, ChunkNote):
        uri = note.chunk.shard.uri
        rejected = sum(found.count for found in note.rejected)
        if note.accepted + rejected != note.chunk.count:
            raise LostRecordError(
                f"{uri}, bytes {note.chunk.start} to {note.chunk.end}: {note.chunk.count} records "
                f"in, {note.accepted} accepted, {rejected} rejected"
            )
        chunks_of[uri] += 1
        of_shard[uri] += note.chunk.count
        totals.accepted += note.accepted
        totals.respelled += note.respelled
        totals.image_uses += note.image_uses
        totals.parts += note.parts
        totals.rejects += [note.rejects] if note.rejects else []
        for found in note.rejected:
            known = totals.rejected.get(found.reason)
            totals.rejected[found.reason] = (
                msgspec.structs.replace(known, count=known.count + found.count) if known else found
            )
    for shard in job.shards:
        split = [note for note in shard_notes if note.shard == shard]
        if len(split) != 1 or (split[0].records, split[0].chunks) != (
            of_shard[shard.uri],
            chunks_of[shard.uri],
        ):
            raise LostRecordError(
                f"{shard.uri}: split into {[(note.chunks, note.records) for note in split]} chunks "
                f"and records, {chunks_of[shard.uri]} and {of_shard[shard.uri]} came out"
            )
        totals.records += split[0].records
        totals.shard_records[shard.uri] = split[0].records
    _apply_mixes(settings, totals)
    for format in settings.formats:
        rows = sum(part.rows for part in totals.parts if part.format == format)
        if rows != totals.accepted:
            raise LostRecordError(f"{totals.accepted} records accepted, {rows} rows in {format}")
    return totals


def _apply_mixes(settings: Settings, totals: Totals) -> None:
    replaced: set[str] = set()
    added: list[Part] = []
    for note in notes.collect(settings, layout.MIXED_NOTES, MixNote):
        replaced.update(note.replaced)
        added += note.parts
    for path in replaced:
        files.remove(files.join(settings.output, path))
    kept = [part for part in totals.parts if part.path not in replaced]
    totals.parts = sorted(kept + added, key=lambda part: part.path)


def _image_table(settings: Settings) -> ImageTotals:
    status: Counter[str] = Counter()
    before = after = rows = 0
    scratch = files.join(settings.output, layout.SCRATCH)
    with files.write(files.join(settings.output, layout.IMAGE_TABLE), scratch) as file:
        with parquet_writer(file, TABLE_SCHEMA) as writer:
            for _, note in files.find(files.join(settings.output, layout.BATCH_NOTES)):
                with files.open_binary(note.uri) as batch:
                    table = pq.read_table(batch, schema=TABLE_SCHEMA)
                writer.write_table(table)
                rows += table.num_rows
                status.update(table["status"].to_pylist())
                for size, source_size in zip(
                    table["bytes"].to_pylist(), table["source_bytes"].to_pylist(), strict=True
                ):
                    if size is not None:
                        after += size
                        before += source_size
        written = file.result()
    table_part = Part(
        layout.IMAGE_TABLE, PARQUET, layout.IMAGES, rows, 0, written.bytes, written.sha256
    )
    return ImageTotals(dict(sorted(status.items())), before, after, table_part)
