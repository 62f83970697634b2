"""Chunks and the outcomes of their images become part files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.pvalue import TaggedOutput

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk
from beam_mat.core.errors import LostRecordError
from beam_mat.core.judge import ChunkResult, judge
from beam_mat.core.mix import deal, plan, surplus
from beam_mat.core.notes import (
    ChunkFact,
    ChunkNote,
    ImageOutcome,
    MixJob,
    MixNote,
    Part,
    ShardNote,
    Unit,
    outcomes_digest,
)
from beam_mat.core.reject import Reason
from beam_mat.core.shard_totals import ShardTotals, add_up_shard
from beam_mat.storage import mixing, notes, parts, present, shards
from beam_mat.transforms.measure import count, tell, timed
from beam_mat.transforms.step import FileStep

WRITTEN = "written"
"""The output of `WriteChunk` that tells which chunks are written."""


@beam.typehints.with_input_types(tuple[str, Iterable[ChunkFact]])
@beam.typehints.with_output_types(tuple[str, Unit], written=tuple[str, str])
class WriteChunk(FileStep):
    """Reads a chunk again and writes its parts, its rejects and a note.

    A chunk is left alone when an earlier run decided on the same outcomes and its files are there.
    """

    def process(self, element: tuple[str, Iterable[ChunkFact]]) -> Iterator[Any]:
        """Yields the units written, by split, and the chunk's name, by its shard's stem."""
        facts = list(element[1])
        (chunk,) = (fact.chunk for fact in facts if fact.chunk)
        outcomes = [outcome for fact in facts for outcome in fact.outcomes]
        repeated = {fact.repeated for fact in facts if fact.repeated is not None}
        digest = outcomes_digest(outcomes, repeated)
        with timed("write"):
            note = self._earlier(chunk, digest)
            if note is None:
                by_path = {outcome.path: outcome for outcome in outcomes}
                result = judge(shards.records(chunk), by_path, repeated, self._settings)
                note = self._write(chunk, result, digest, outcomes)
        rejected = chunk.count - note.accepted
        count("records_accepted", note.accepted)
        count("records_rejected", rejected)
        tell(self._settings.progress, written=chunk.count, rejected=rejected)
        for unit in note.units:
            yield unit.split, unit
        yield TaggedOutput(WRITTEN, (chunk.shard.stem(self._settings.digest()), chunk.name))

    def _earlier(self, chunk: Chunk, digest: str) -> ChunkNote | None:
        note = notes.earlier(self._settings, layout.CHUNK_NOTES, chunk.name, ChunkNote)
        if note is None:
            return None
        if note.outcomes != digest or not present.all_there(self._settings, note.files()):
            # Should this run break off, no note may tell of files that are half of another run.
            notes.withdraw(self._settings, layout.CHUNK_NOTES, chunk.name)
            return None
        if (note.generation, note.chunk) != (self._settings.generation, chunk):
            note = msgspec.structs.replace(note, generation=self._settings.generation, chunk=chunk)
            notes.leave(self._settings, layout.CHUNK_NOTES, chunk.name, note)
        return note

    def _write(
        self, chunk: Chunk, result: ChunkResult, digest: str, outcomes: Sequence[ImageOutcome]
    ) -> ChunkNote:
        contents = {outcome.path: outcome.content for outcome in outcomes}
        # The same name never stands for other rows, though an image may come later.
        stem = f"{chunk.name}-{digest[:8]}"
        units, written = [], list[Part]()
        for split, (with_images, text_only) in sorted(result.trajectories.items()):
            stay = len(text_only) - surplus(len(with_images), len(text_only))
            for name, images, texts in (
                (stem, with_images, text_only[:stay]),
                (f"{stem}-text", [], text_only[stay:]),
            ):
                if images or texts:
                    unit = Unit(name, split, len(images), len(images) + len(texts))
                    rows = [parts.row_of(trajectory) for trajectory in deal(images, texts)]
                    written += parts.write_unit(
                        self._settings, unit, rows, aside=not images, contents=contents
                    )
                    units.append(unit)
        rejects = None
        if result.rejects:
            rejects = parts.write_rejects(self._settings, stem, result.rejects)
        note = ChunkNote(
            generation=self._settings.generation,
            outcomes=digest,
            chunk=chunk,
            accepted=result.accepted,
            respelled=result.respelled,
            image_uses=result.image_uses,
            rejected=result.counts(),
            units=tuple(units),
            parts=tuple(written),
            rejects=rejects,
            missing=_missing(outcomes),
            statistics=result.counting.result(),
        )
        notes.leave(self._settings, layout.CHUNK_NOTES, chunk.name, note)
        return note


def _missing(outcomes: Iterable[ImageOutcome]) -> tuple[str, ...]:
    missing = Reason.IMAGE_MISSING
    return tuple(sorted(one.path for one in outcomes if one.fault and one.fault.reason is missing))


@beam.typehints.with_input_types(tuple[str, Iterable[str]])
class AddUpShard(FileStep):
    """Adds up a shard whose chunks are written; the driver would read their notes one by one."""

    def process(self, element: tuple[str, Iterable[str]]) -> None:
        """Leaves the totals; see `beam_mat.core.shard_totals`."""
        stem, written = element[0], sorted(element[1])
        settings = self._settings
        with timed("add up"):
            (split,) = notes.read(settings, layout.SHARD_NOTES, [stem], ShardNote)
            names = [chunk.name for chunk in split.chunks]
            if written != sorted(names):
                raise LostRecordError(f"{split.shard.uri}: has other chunks than were written")
            chunks = list(notes.read(settings, layout.CHUNK_NOTES, names, ChunkNote))
            totals = ShardTotals(settings.generation, chunks[0].chunk.shard)
            notes.leave(settings, layout.SHARD_TOTALS, stem, add_up_shard(split, chunks, totals))


@beam.typehints.with_input_types(tuple[str, Iterable[Unit]])
@beam.typehints.with_output_types(MixJob)
class PlanMix(beam.DoFn):
    """Pairs a split's text-only units with units that have images."""

    def process(self, element: tuple[str, Iterable[Unit]]) -> Iterator[MixJob]:
        """Yields nothing where every unit has images."""
        yield from plan(list(element[1]))


@beam.typehints.with_input_types(MixJob)
class MixUnits(FileStep):
    """Writes the mixed parts and a note of what they replace."""

    def process(self, job: MixJob) -> None:
        """See `beam_mat.core.mix`."""
        with timed("mix"):
            if not self._is_done(job):
                note = mixing.mix(self._settings, job)
                notes.leave(self._settings, layout.MIXED_NOTES, job.name, note)

    def _is_done(self, job: MixJob) -> bool:
        note = notes.earlier(self._settings, layout.MIXED_NOTES, job.name, MixNote)
        if note is None:
            return False
        # The names in a job do not tell another generation's rows from these.
        same = (note.generation, note.job) == (self._settings.generation, job)
        if same and present.all_there(self._settings, note.parts):
            return True
        notes.withdraw(self._settings, layout.MIXED_NOTES, job.name)
        return False
