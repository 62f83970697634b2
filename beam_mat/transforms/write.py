"""Writes part files from chunks and the outcomes of their images, and summaries of shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from beam_mat.core.chunk import Chunk
from beam_mat.core.mix import plan
from beam_mat.core.references import ChunkFact, Written
from beam_mat.core.results import ChunkOutput, MixJob, Unit
from beam_mat.core.settings import Settings
from beam_mat.transforms.measure import count, tell, timed
from beam_mat.transforms.step import FileStep
from beam_mat.work import chunks
from beam_mat.work.mix import mix

WRITTEN = "written"
"""Tag of the output of `WriteChunk` with the written chunks."""


@beam.typehints.with_input_types(tuple[str, Iterable[ChunkFact]])
@beam.typehints.with_output_types(tuple[str, Unit], written=tuple[str, tuple[Chunk, Written]])
class WriteChunk(FileStep):
    """Writes the parts and the rejects of a chunk; see `work.chunks.write`."""

    def process(self, element: tuple[str, Iterable[ChunkFact]]) -> Iterator[Any]:
        """Yields the written units, keyed by split, and the chunk, keyed by its shard's stem."""
        facts = list(element[1])
        (chunk,) = (fact.chunk for fact in facts if fact.chunk)
        with timed("write"):
            written, output = chunks.write(self._settings, facts)
        count_written(self._settings, output)
        for unit in output.units:
            yield unit.split, unit
        yield TaggedOutput(WRITTEN, (chunk.shard.stem(self._settings.digest()), (chunk, written)))


def count_written(settings: Settings, output: ChunkOutput) -> None:
    """Counts the records of a written chunk."""
    rejected = output.records - output.accepted
    count("records_accepted", output.accepted)
    count("records_rejected", rejected)
    tell(settings.progress, written=output.records, rejected=rejected)


@beam.typehints.with_input_types(tuple[str, Iterable[tuple[Chunk, Written]]])
class SummariseShard(FileStep):
    """Writes the summary of a shard, so that the driver reads one file per shard."""

    def process(self, element: tuple[str, Iterable[tuple[Chunk, Written]]]) -> None:
        found = list(element[1])
        with timed("summarise"):
            shard = found[0][0].shard
            summed = chunks.summary(self._settings, shard, (written for _, written in found))
            chunks.write_summary(self._settings, summed, exact=False)


@beam.typehints.with_input_types(tuple[str, Iterable[Unit]])
@beam.typehints.with_output_types(MixJob)
class PlanMix(beam.DoFn):
    """Pairs a split's text-only units with units that have images."""

    def process(self, element: tuple[str, Iterable[Unit]]) -> Iterator[MixJob]:
        """Yields nothing if every unit has images."""
        yield from plan(list(element[1]))


@beam.typehints.with_input_types(MixJob)
class MixUnits(FileStep):
    """Writes the mixed parts; see `work.mix`."""

    def process(self, job: MixJob) -> None:
        """Does nothing if an earlier run has written them."""
        with timed("mix"):
            mix(self._settings, job)
