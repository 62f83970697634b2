"""The whole graph. References travel between the steps; records and images do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.notes import ChunkFact, PathFact, Source, Unit, Wanted
from beam_mat.core.settings import Settings
from beam_mat.transforms import coders
from beam_mat.transforms.earlier import ListNotes, ReadNotes
from beam_mat.transforms.group import Group, GroupMany
from beam_mat.transforms.images import UNUSED, ConvertImages, ListMembers, Match, NoteUnused
from beam_mat.transforms.request import FindRepeated, ListIds, RequestImages
from beam_mat.transforms.split import SplitShard
from beam_mat.transforms.write import WRITTEN, AddUpShard, MixUnits, PlanMix, WriteChunk


def build(
    pipeline: beam.Pipeline, shards: Sequence[Shard], sources: Sequence[Source], settings: Settings
) -> None:
    """Adds the conversion to a pipeline.

    Args:
        pipeline: To which the steps are added.
        shards: The JSON input, in order.
        sources: Zips and folders of images, in order of precedence.
        settings: What the steps need to know.
    """
    coders.register()

    # Create shares its elements out by itself.
    chunks = (
        pipeline
        | "Shards" >> beam.Create(list(shards)).with_output_types(Shard)
        | "Split" >> beam.ParDo(SplitShard(settings))
        | "Share out chunks" >> beam.Reshuffle()
    )

    requests = chunks | "Request images" >> beam.ParDo(RequestImages(settings))
    members = (
        pipeline
        | "Image sources" >> beam.Create(list(sources)).with_output_types(Source)
        | "List members" >> beam.ParDo(ListMembers(settings))
    )
    by_path: tuple[Any, ...] = (requests, members)
    if settings.again:
        earlier = (
            pipeline
            | "Earlier runs" >> beam.Create([layout.BATCH_NOTES])
            | "List notes" >> beam.ParDo(ListNotes(settings))
            | "Share out notes" >> beam.Reshuffle()
            | "Read notes" >> beam.ParDo(ReadNotes(settings))
        )
        by_path = (*by_path, earlier)
    matched = (
        by_path
        | "Join by path" >> GroupMany(PathFact)
        | "Match" >> beam.ParDo(Match(settings)).with_outputs(UNUSED, main="wanted")
    )
    converted = (
        matched.wanted
        | "Batch" >> Group(Wanted)
        | "Convert images"
        >> beam.ParDo(ConvertImages(settings, sources)).with_outputs(UNUSED, main="outcomes")
    )
    if settings.again:
        _ = (
            (matched[UNUSED], converted[UNUSED])
            | "Gather unused" >> Group(str)
            | "Note unused" >> beam.ParDo(NoteUnused(settings))
        )

    by_chunk: tuple[Any, ...] = (chunks | "Key by name" >> beam.Map(_keyed), converted.outcomes)
    if settings.drop_duplicates:
        repeated = (
            chunks
            | "List ids" >> beam.ParDo(ListIds(settings))
            | "Group by id" >> GroupMany(tuple[int, int, str])
            | "Find repeated" >> beam.ParDo(FindRepeated())
        )
        by_chunk = (*by_chunk, repeated)
    units, written = (
        by_chunk
        | "Join by chunk" >> Group(ChunkFact)
        | "Write" >> beam.ParDo(WriteChunk(settings)).with_outputs(WRITTEN, main="units")
    )
    _ = written | "Gather chunks" >> Group(str) | "Add up" >> beam.ParDo(AddUpShard(settings))
    _ = (
        units
        | "Gather units" >> Group(Unit)
        | "Plan mix" >> beam.ParDo(PlanMix())
        | "Share out mixes" >> beam.Reshuffle()
        | "Mix" >> beam.ParDo(MixUnits(settings))
    )


def _keyed(chunk: Chunk) -> tuple[str, ChunkFact]:
    return chunk.name, ChunkFact(chunk=chunk)
