"""The whole graph of a watch. The steps that do the work are a conversion's own."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.window import FixedWindows, GlobalWindows
from apache_beam.utils.timestamp import Timestamp

from beam_mat.transforms import coders
from beam_mat.watch import steps
from beam_mat.watch.commit import Commit
from beam_mat.watch.facts import FACTS, Tick, WatchSettings
from beam_mat.watch.intake import LetIn
from beam_mat.watch.joins import JoinByChunk, JoinByPath, JoinByShard
from beam_mat.watch.notifications import notifications


def build(pipeline: beam.Pipeline, watch: WatchSettings) -> None:
    """Adds the watch to a pipeline.

    Args:
        pipeline: To which the steps are added; a streaming one.
        watch: What the steps need to know.
    """
    coders.register(FACTS)
    settings = watch.settings

    clock = [
        pipeline
        | "Clock" >> PeriodicImpulse(start_timestamp=Timestamp.now(), fire_interval=watch.beat)
        | "Tick" >> beam.Map(_tick)
    ]
    if watch.subscription:
        clock.append(pipeline | "Notifications" >> notifications(watch.subscription))
    arrived = (
        clock
        | "Ticks and notifications" >> beam.Flatten()
        | "Let in" >> beam.ParDo(LetIn(watch)).with_outputs("sources", "missed", "beats", main="m")
    )

    split = (
        arrived.m
        | "Share out shards" >> beam.Reshuffle()
        | "Split" >> beam.ParDo(steps.Split(settings)).with_outputs(steps.SHARDS, main="m")
    )
    requests = (
        split.m
        | "Share out chunks" >> beam.Reshuffle()
        | "Request images"
        >> beam.ParDo(steps.Request(settings)).with_outputs(steps.SHARDS, steps.CHUNKS, main="m")
    )
    listed = (
        arrived.sources
        | "Share out zips" >> beam.Reshuffle()
        | "List members" >> beam.ParDo(steps.ListZip(watch)).with_outputs(steps.SOURCES, main="m")
    )
    outcomes = (
        [requests.m, listed.m, arrived.missed]
        | "Requests and members" >> beam.Flatten()
        | "Join by path" >> beam.ParDo(JoinByPath(watch))
        # What is asked for in one tick of the clock is read in one go.
        | "Beat by beat" >> beam.WindowInto(FixedWindows(watch.beat))
        | "Batch" >> beam.GroupByKey()
        | "Convert images" >> beam.ParDo(steps.Convert(watch))
        | "Without end" >> beam.WindowInto(GlobalWindows())
    )
    written = (
        [requests.chunks, outcomes]
        | "Chunks and outcomes" >> beam.Flatten()
        | "Join by chunk" >> beam.ParDo(JoinByChunk())
        | "Write" >> beam.ParDo(steps.Write(settings))
    )
    finished = (
        [split.shards, requests.shards, written]
        | "Shards and chunks" >> beam.Flatten()
        | "Join by shard" >> beam.ParDo(JoinByShard())
    )
    _ = (
        [finished, listed.sources, arrived.beats]
        | "Finished" >> beam.Flatten()
        | "Commit" >> beam.ParDo(Commit(watch))
    )


def _tick(at: Timestamp) -> tuple[str, Tick]:
    return "", Tick(float(at))
