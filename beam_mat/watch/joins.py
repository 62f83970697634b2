"""The joins of a watch: paths meet members, outcomes meet chunks, chunks meet shards.

In a conversion each is a GroupByKey, which knows when all have come. Here nobody knows, so each
keeps what it has in state, passes on what is complete, and forgets it then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from beam_mat.core.member import Member
from beam_mat.core.notes import ChunkFact, ImageOutcome, PathFact, Wanted
from beam_mat.transforms.coders import StructCoder
from beam_mat.transforms.images import missing_batch
from beam_mat.transforms.step import FileStep
from beam_mat.watch import wakes
from beam_mat.watch.facts import (
    ChunkProgress,
    CommitFact,
    KnownPath,
    ShardFact,
    Waiting,
    WatchSettings,
)

GONE_SECONDS = 3600.0
"""How long it is remembered that a shard is gone, for what still comes of it."""


@beam.typehints.with_input_types(tuple[str, PathFact])
@beam.typehints.with_output_types(tuple[str, Wanted])
class JoinByPath(FileStep):
    """Holds a request for an image until a zip has it, or until it has waited long enough.

    What has been answered is forgotten; where an image lies is kept, for records that come later.
    """

    KNOWN = ReadModifyWriteStateSpec("known", StructCoder(KnownPath))
    EXPIRY = TimerSpec("expiry", TimeDomain.WATERMARK)

    def __init__(self, watch: WatchSettings) -> None:
        super().__init__(watch.settings)
        self._watch = watch

    def process(
        self,
        element: tuple[str, PathFact],
        at: Any = beam.DoFn.TimestampParam,
        known: Any = beam.DoFn.StateParam(KNOWN),
        expiry: Any = beam.DoFn.TimerParam(EXPIRY),
    ) -> Iterator[tuple[str, Wanted]]:
        """Yields the image with the chunks that have waited for it, keyed by its batch."""
        path, fact = element
        before: KnownPath = known.read() or KnownPath()
        after = before
        if fact.member:
            after = self._found(before, fact.member, path)
            if after.member and before.waiting:
                chunks = tuple(waiting.chunk for waiting in before.waiting)
                yield _wanted(path, after.member, chunks)
                after = msgspec.structs.replace(after, waiting=(), asked=True)
        elif fact.chunk:
            stem = stem_of(fact.chunk)
            if before.member or stem in before.missed_by:
                yield _wanted(path, before.member, (fact.chunk,))
                after = msgspec.structs.replace(before, asked=before.member is not None)
            else:
                until = _milliseconds(at) + round(self._watch.image_wait * 1000)
                if not before.waiting:
                    expiry.set(_instant(until))
                waiting = (*before.waiting, Waiting(fact.chunk, until))
                after = msgspec.structs.replace(before, waiting=waiting)
        elif fact.missed_by and before.member:
            wakes.leave(self._settings, fact.missed_by)
        elif fact.missed_by and fact.missed_by not in before.missed_by:
            missed = (*before.missed_by, fact.missed_by)
            after = msgspec.structs.replace(before, missed_by=missed)
        if after != before:
            known.write(after)

    def _found(self, before: KnownPath, member: Member, path: str) -> KnownPath:
        if before.member and _place(before.member) < _place(member):
            return before  # the zip that comes first has it
        if before.asked and before.member and _content(before.member) != _content(member):
            wakes.leave(self._settings, "", path)
        for stem in before.missed_by:
            wakes.leave(self._settings, stem)
        return msgspec.structs.replace(before, member=member, missed_by=())

    @on_timer(EXPIRY)
    def expire(
        self,
        path: Any = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        known: Any = beam.DoFn.StateParam(KNOWN),
        expiry: Any = beam.DoFn.TimerParam(EXPIRY),
    ) -> Iterator[tuple[str, Wanted]]:
        """Yields a request that has waited long enough, with no member."""
        before: KnownPath = known.read() or KnownPath()
        now = _milliseconds(at)
        over = [waiting for waiting in before.waiting if waiting.until <= now]
        left = [waiting for waiting in before.waiting if waiting.until > now]
        if left:
            expiry.set(_instant(min(waiting.until for waiting in left)))
        if not over:
            return
        chunks = tuple(waiting.chunk for waiting in over)
        missed = dict.fromkeys((*before.missed_by, *map(stem_of, chunks)))
        known.write(msgspec.structs.replace(before, waiting=tuple(left), missed_by=tuple(missed)))
        yield _wanted(path, None, chunks)


def _milliseconds(at: Timestamp) -> int:
    return int(at.micros // 1000)


def _instant(milliseconds: int) -> Timestamp:
    return Timestamp(micros=milliseconds * 1000)


def _place(member: Member) -> tuple[int, str]:
    return member.order, member.source


def _content(member: Member) -> tuple[int, int | None]:
    return member.size, member.crc


def _wanted(path: str, member: Member | None, chunks: tuple[str, ...]) -> tuple[str, Wanted]:
    if member is None:
        return missing_batch(path), Wanted(path, None, chunks)
    return f"{member.order} {member.source} {member.batch}", Wanted(path, member, chunks)


def stem_of(chunk: str) -> str:
    """The stem of the shard that a chunk, given by name, belongs to."""
    return chunk.rpartition("-")[0]


@beam.typehints.with_input_types(tuple[str, ChunkProgress])
@beam.typehints.with_output_types(tuple[str, Iterable[ChunkFact]])
class JoinByChunk(beam.DoFn):
    """Gathers the outcomes of a chunk's images, until there are as many as it asks for."""

    PROGRESS = ReadModifyWriteStateSpec("progress", StructCoder(ChunkProgress))

    def process(
        self,
        element: tuple[str, ChunkProgress],
        progress: Any = beam.DoFn.StateParam(PROGRESS),
    ) -> Iterator[tuple[str, Iterable[ChunkFact]]]:
        """Yields what `beam_mat.transforms.write.WriteChunk` takes."""
        name, fact = element
        before: ChunkProgress = progress.read() or ChunkProgress()
        known: dict[str, ImageOutcome] = {
            outcome.path: outcome for outcome in (*before.outcomes, *fact.outcomes)
        }
        chunk = fact.chunk or before.chunk
        asks = fact.asks if fact.chunk else before.asks
        if chunk and len(known) == asks:
            progress.clear()
            yield name, [ChunkFact(chunk=chunk), ChunkFact(outcomes=tuple(known.values()))]
        else:
            progress.write(ChunkProgress(chunk, asks, tuple(known.values())))


@beam.typehints.with_input_types(tuple[str, ShardFact])
@beam.typehints.with_output_types(tuple[str, CommitFact])
class JoinByShard(beam.DoFn):
    """Counts the chunks of a shard that are written, until all are."""

    FACT = ReadModifyWriteStateSpec("fact", StructCoder(ShardFact))
    FORGET = TimerSpec("forget", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[str, ShardFact],
        at: Any = beam.DoFn.TimestampParam,
        fact: Any = beam.DoFn.StateParam(FACT),
        forget: Any = beam.DoFn.TimerParam(FORGET),
    ) -> Iterator[tuple[str, CommitFact]]:
        """Yields the shard for the commit, once, or that it is gone."""
        news = element[1]
        before: ShardFact = fact.read() or ShardFact()
        if before.gone:
            return
        if news.gone:
            fact.write(news)
            forget.set(Timestamp(float(at) + GONE_SECONDS))
            yield "", CommitFact(gone=news.shard)
            return
        shard = news.shard or before.shard
        chunks = news.chunks if news.shard else before.chunks
        written = tuple(dict.fromkeys((*before.written, *news.written)))
        if shard and len(written) == chunks:
            fact.clear()
            yield "", CommitFact(shard=shard)
        else:
            fact.write(ShardFact(shard, chunks, written))

    @on_timer(FORGET)
    def forgotten(self, fact: Any = beam.DoFn.StateParam(FACT)) -> None:
        """Forgets a shard that is gone."""
        fact.clear()
