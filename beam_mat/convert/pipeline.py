"""The graph of a conversion. Steps exchange references, but no records and no images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.results import ChunkFact, PathFact, Source, Unit, Wanted, Written
from beam_mat.core.settings import Settings
from beam_mat.transforms import conversion as steps
from beam_mat.transforms.missing import NameNearest
from beam_mat.transforms.shuffle import Group, GroupMany, register
from beam_mat.work.chunks import count, write
from beam_mat.work.dry_run import look_up_batch
from beam_mat.work.images import convert_batch


def build(
    pipeline: beam.Pipeline,
    shards: Sequence[Shard],
    sources: Sequence[Source],
    settings: Settings,
    *,
    dry_run: bool = False,
) -> None:
    """Adds the conversion to a pipeline. The sources are in order of precedence.

    With `dry_run`, no image is converted and no part is written.
    """
    register()
    of_batch = look_up_batch if dry_run else convert_batch
    of_chunk = count if dry_run else write
    chunks = (
        pipeline
        | "Shards" >> beam.Create(list(shards)).with_output_types(Shard)  # Create distributes them
        | "Split" >> beam.ParDo(steps.SplitShard(settings))
        | "Share out chunks" >> beam.Reshuffle()
    )
    requests = chunks | "Request images" >> beam.ParDo(steps.RequestImages(settings))
    members = (
        pipeline
        | "Image sources" >> beam.Create(list(sources)).with_output_types(Source)
        | "List members" >> beam.ParDo(steps.ListMembers(settings))
    )
    matched = (
        (requests, members)
        | "Join by path" >> GroupMany(PathFact)
        | "Match" >> beam.ParDo(steps.Match(settings)).with_outputs(steps.MISSING, main="found")
    )
    missing = matched[steps.MISSING] | "Name nearest" >> NameNearest(settings, sources)
    outcomes = (
        (matched.found, missing)
        | "Batch" >> Group(Wanted)
        | "Convert images" >> beam.ParDo(steps.ConvertImages(settings, sources, of_batch))
    )

    by_chunk: tuple[Any, ...] = (chunks | "Key by name" >> beam.Map(_keyed), outcomes)
    if settings.drop_duplicates:
        repeated = (
            chunks
            | "List ids" >> beam.ParDo(steps.ListIds(settings))
            | "Group by id" >> GroupMany(tuple[int, int, str])
            | "Find repeated" >> beam.FlatMap(steps.find_repeated)
        )
        by_chunk = (*by_chunk, repeated)
    units, written = (
        by_chunk
        | "Join by chunk" >> Group(ChunkFact)
        | "Write"
        >> beam.ParDo(steps.WriteChunk(settings, of_chunk)).with_outputs(
            steps.WRITTEN, main="units"
        )
    )
    _ = (
        written
        | "Gather chunks" >> Group(tuple[Chunk, Written])
        | "Summarise" >> beam.ParDo(steps.SummariseShard(settings))
    )
    _ = (
        units
        | "Gather units" >> Group(Unit)
        | "Plan mix" >> beam.FlatMap(steps.plan_mix)
        | "Share out mixes" >> beam.Reshuffle()
        | "Mix" >> beam.ParDo(steps.MixUnits(settings))
    )


def _keyed(chunk: Chunk) -> tuple[str, ChunkFact]:
    return chunk.name, ChunkFact(chunk=chunk)
