"""The graph of a watch. Its steps call the same functions as the steps of a conversion."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.io import ReadFromPubSub
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.window import FixedWindows, GlobalWindows
from apache_beam.utils.timestamp import Timestamp

from beam_mat.transforms.shuffle import register
from beam_mat.watch import steps
from beam_mat.watch.commit import CommitWindows
from beam_mat.watch.intake import DecodeNotifications, LetIn
from beam_mat.watch.joins import COMPLETE, JoinByChunk, JoinByPath, JoinByShard
from beam_mat.watch.messages import STRUCTS, Tick, WatchSettings


def build(pipeline: beam.Pipeline, watch: WatchSettings) -> None:
    """Adds the watch to a streaming pipeline."""
    register(STRUCTS)
    settings = watch.settings

    ticks = [
        pipeline
        | "Clock" >> PeriodicImpulse(start_timestamp=Timestamp.now(), fire_interval=watch.tick)
        | "Tick" >> beam.Map(_tick)
    ]
    if watch.subscription:
        ticks.append(
            pipeline
            | "Notifications"
            >> ReadFromPubSub(subscription=watch.subscription, with_attributes=True)
            | "Decode notifications" >> beam.ParDo(DecodeNotifications())
        )
    arrived = (
        ticks
        | "Ticks and notifications" >> beam.Flatten()
        | "Let in" >> beam.ParDo(LetIn(watch)).with_outputs("sources", "missed", "ticks", main="m")
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
        # Images that are requested in the same tick are read together.
        | "Window by tick" >> beam.WindowInto(FixedWindows(watch.tick))
        | "Batch" >> beam.GroupByKey()
        | "Convert images" >> beam.ParDo(steps.Convert(watch))
        | "Global window" >> beam.WindowInto(GlobalWindows())
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
        | "Join by shard" >> beam.ParDo(JoinByShard()).with_outputs(COMPLETE, main="m")
    )
    summed = (
        finished.complete
        | "Share out complete shards" >> beam.Reshuffle()
        | "Summarise" >> beam.ParDo(steps.Summarise(settings))
    )
    _ = (
        [finished.m, summed, listed.sources, arrived.ticks]
        | "Finished" >> beam.Flatten()
        | "Commit" >> beam.ParDo(CommitWindows(watch))
    )


def _tick(at: Timestamp) -> tuple[str, Tick]:
    return "", Tick(float(at))
