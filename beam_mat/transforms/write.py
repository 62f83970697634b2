"""Chunks and the outcomes of their images become part files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk
from beam_mat.core.judge import ChunkResult, judge
from beam_mat.core.mix import deal, plan, surplus
from beam_mat.core.notes import ChunkFact, ChunkNote, MixJob, Part, Unit
from beam_mat.core.settings import Settings
from beam_mat.storage import mixing, notes, parts, shards
from beam_mat.transforms.measure import count, tell, timed


@beam.typehints.with_input_types(tuple[str, Iterable[ChunkFact]])
@beam.typehints.with_output_types(tuple[str, Unit])
class WriteChunk(beam.DoFn):
    """Reads a chunk again and writes its parts, its rejects and a note."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, element: tuple[str, Iterable[ChunkFact]]) -> Iterator[tuple[str, Unit]]:
        """Yields the units written, by split."""
        facts = list(element[1])
        (chunk,) = (fact.chunk for fact in facts if fact.chunk)
        faults = {outcome.path: outcome.fault for fact in facts for outcome in fact.outcomes}
        repeated = {fact.repeated for fact in facts if fact.repeated is not None}
        with timed("write"):
            result = judge(shards.records(chunk), faults, repeated, self._settings)
            units = self._write(chunk, result)
        count("records_accepted", result.accepted)
        count("records_rejected", len(result.rejects))
        tell(self._settings.progress, written=chunk.count, rejected=len(result.rejects))
        for unit in units:
            yield unit.split, unit

    def _write(self, chunk: Chunk, result: ChunkResult) -> list[Unit]:
        units, written = [], list[Part]()
        for split, (with_images, text_only) in sorted(result.trajectories.items()):
            stay = len(text_only) - surplus(len(with_images), len(text_only))
            for name, images, texts in (
                (chunk.name, with_images, text_only[:stay]),
                (f"{chunk.name}-text", [], text_only[stay:]),
            ):
                if images or texts:
                    unit = Unit(name, split, len(images), len(images) + len(texts))
                    rows = [parts.row_of(trajectory) for trajectory in deal(images, texts)]
                    written += parts.write_unit(self._settings, unit, rows, aside=not images)
                    units.append(unit)
        rejects = None
        if result.rejects:
            rejects = parts.write_rejects(self._settings, chunk.name, result.rejects)
        note = ChunkNote(
            chunk=chunk,
            accepted=result.accepted,
            respelled=result.respelled,
            image_uses=result.image_uses,
            rejected=result.counts(),
            parts=tuple(written),
            rejects=rejects,
        )
        notes.leave(self._settings, layout.CHUNK_NOTES, chunk.name, note)
        return units


@beam.typehints.with_input_types(tuple[str, Iterable[Unit]])
@beam.typehints.with_output_types(MixJob)
class PlanMix(beam.DoFn):
    """Pairs a split's text-only units with units that have images."""

    def process(self, element: tuple[str, Iterable[Unit]]) -> Iterator[MixJob]:
        """Yields nothing where every unit has images."""
        yield from plan(list(element[1]))


@beam.typehints.with_input_types(MixJob)
class MixUnits(beam.DoFn):
    """Writes the mixed parts and a note of what they replace."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, job: MixJob) -> None:
        """See `beam_mat.core.mix`."""
        with timed("mix"):
            note = mixing.mix(self._settings, job)
            unit = job.base or job.texts[0]
            name = f"{unit.split}-{unit.name}"
            notes.leave(self._settings, layout.MIXED_NOTES, name, note)
