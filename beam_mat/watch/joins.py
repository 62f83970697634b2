"""The joins of a watch: of requests with members, of outcomes with chunks, of chunks with shards.

A conversion uses GroupByKey for them, which waits for the end of its input. A watch has no end, so
each join stores its elements in state, emits a group when it is complete, and then clears it.
Annotations are evaluated here: Beam chooses the coders by the types of `process`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

from beam_mat.core.member import Member, Packing
from beam_mat.core.results import ChunkFact, PathFact, Wanted
from beam_mat.transforms.shuffle import StructCoder
from beam_mat.transforms.step import FileStep
from beam_mat.watch.messages import (
    ChunkProgress,
    CommitFact,
    KnownPath,
    ShardFact,
    Waiting,
    WatchSettings,
    request_reprocessing,
)
from beam_mat.work.images import batch_of

GONE_SECONDS = 3600.0
"""How long a changed shard is remembered, so that its late elements are dropped."""


class WatchStep(FileStep):
    """A step that needs the settings of the watch."""

    def __init__(self, watch: WatchSettings) -> None:
        super().__init__(watch.settings)
        self._watch = watch


class JoinByPath(WatchStep):
    """Holds a request for an image until a zip has the image, or until the wait is over.

    Answered requests are cleared. Members are kept for records that arrive later.
    """

    KNOWN = ReadModifyWriteStateSpec("known", StructCoder(KnownPath))
    EXPIRY = TimerSpec("expiry", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[str, PathFact],
        at: Any = beam.DoFn.TimestampParam,
        known: Any = beam.DoFn.StateParam(KNOWN),
        expiry: Any = beam.DoFn.TimerParam(EXPIRY),
    ) -> Iterator[tuple[str, Wanted]]:
        """Yields the image with the chunks that wait for it, keyed by its batch."""
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
            request_reprocessing(self._settings, fact.missed_by)
        elif fact.missed_by and fact.missed_by not in before.missed_by:
            missed = (*before.missed_by, fact.missed_by)
            after = msgspec.structs.replace(before, missed_by=missed)
        if after != before:
            known.write(after)

    def _found(self, before: KnownPath, member: Member, path: str) -> KnownPath:
        """What is known after a member has arrived; see `core.member.best` for the rules."""
        there = before.member
        if there and member.packing is Packing.INLINE:
            return before  # an image inside a record is named by its bytes
        if member.path != path:
            if before.ambiguous or (there and there.path == path):
                return before
            if there and there.path != member.path:
                if before.asked:
                    request_reprocessing(self._settings, "", path)
                return msgspec.structs.replace(before, member=None, asked=False, ambiguous=True)
        if there and there.path == member.path and _precedence(there) < _precedence(member):
            return before  # a source with higher precedence has it
        if before.asked and there and _content(there) != _content(member):
            request_reprocessing(self._settings, "", path)
        for stem in before.missed_by:
            request_reprocessing(self._settings, stem)
        return msgspec.structs.replace(before, member=member, missed_by=(), ambiguous=False)

    @on_timer(EXPIRY)
    def expire(
        self,
        path: Any = beam.DoFn.KeyParam,
        at: Any = beam.DoFn.TimestampParam,
        known: Any = beam.DoFn.StateParam(KNOWN),
        expiry: Any = beam.DoFn.TimerParam(EXPIRY),
    ) -> Iterator[tuple[str, Wanted]]:
        """Yields requests whose wait is over, without a member."""
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


def _precedence(member: Member) -> tuple[int, str]:
    return member.order, member.source


def _content(member: Member) -> tuple[int, int | str]:
    # A tar has no checksums, so each version of it may have other pictures.
    return member.size, member.version if member.crc is None else member.crc


def _wanted(path: str, member: Member | None, chunks: tuple[str, ...]) -> tuple[str, Wanted]:
    if member:
        member = msgspec.structs.replace(member, path=path)  # it may have another spelling
    return batch_of(path, member), Wanted(path, member, chunks)


def stem_of(chunk: str) -> str:
    """Returns the stem of the shard that a chunk belongs to, from the chunk's name."""
    return chunk.rpartition("-")[0]


class JoinByChunk(beam.DoFn):
    """Collects the outcomes of a chunk's images until all are known."""

    PROGRESS = ReadModifyWriteStateSpec("progress", StructCoder(ChunkProgress))

    def process(
        self, element: tuple[str, ChunkProgress], progress: Any = beam.DoFn.StateParam(PROGRESS)
    ) -> Iterator[tuple[str, Iterable[ChunkFact]]]:
        """Yields the same elements as the "Join by chunk" step of a conversion."""
        name, fact = element
        before: ChunkProgress = progress.read() or ChunkProgress()
        known = {one.path: one for one in (*before.outcomes, *fact.outcomes)}
        tables = tuple(dict.fromkeys((*before.tables, *fact.tables)))
        asked = fact if fact.chunk else before
        after = ChunkProgress(asked.chunk, asked.requested, tuple(known.values()), tables)
        if after.chunk and len(known) == after.requested:
            progress.clear()
            facts = [ChunkFact(chunk=after.chunk), ChunkFact(outcomes=after.outcomes)]
            yield name, [*facts, *(ChunkFact(table=table) for table in tables)]
        else:
            progress.write(after)


COMPLETE = "complete"
"""Tag of shards whose chunks are all written."""


@beam.typehints.with_output_types(tuple[str, CommitFact], complete=ShardFact)
class JoinByShard(beam.DoFn):
    """Collects the chunks of a shard until all are written."""

    FACT = ReadModifyWriteStateSpec("fact", StructCoder(ShardFact))
    FORGET = TimerSpec("forget", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[str, ShardFact],
        at: Any = beam.DoFn.TimestampParam,
        fact: Any = beam.DoFn.StateParam(FACT),
        forget: Any = beam.DoFn.TimerParam(FORGET),
    ) -> Iterator[Any]:
        """Yields the shard once: complete, or changed."""
        newer = element[1]
        before: ShardFact = fact.read() or ShardFact()
        if before.gone:
            return
        if newer.gone:
            fact.write(newer)
            forget.set(Timestamp(float(at) + GONE_SECONDS))
            yield "", CommitFact(gone=newer.shard)
            return
        split = newer if newer.shard else before
        by_chunk = {one.chunk: one for one in (*before.written, *newer.written)}
        after = ShardFact(split.shard, split.chunks, tuple(by_chunk.values()))
        if after.shard and len(after.written) == after.chunks:
            fact.clear()
            yield TaggedOutput(COMPLETE, after)
        else:
            fact.write(after)

    @on_timer(FORGET)
    def forgotten(self, fact: Any = beam.DoFn.StateParam(FACT)) -> None:
        fact.clear()
