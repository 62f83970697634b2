"""The steps of a conversion.

Those on shards, chunks and units call `work.chunks` and `work.mix`. The others join requested paths
with image sources, and convert each image that is found once. Annotations are evaluated here,
because Beam chooses the coders by the types of `process`.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.member import Member, Packing, best
from beam_mat.core.member_name import spellings
from beam_mat.core.mix import plan
from beam_mat.core.results import (
    ChunkFact,
    ChunkOutput,
    ImageOutcome,
    MixJob,
    PathFact,
    Source,
    Unit,
    Wanted,
    Written,
)
from beam_mat.core.settings import Settings
from beam_mat.storage import inputs, requests
from beam_mat.transforms.step import FileStep, ProgressStep, count, send_progress, timed
from beam_mat.work import chunks
from beam_mat.work.convert_image import ImageRow
from beam_mat.work.images import batch_of, convert_batch, list_members
from beam_mat.work.missing import write_groups
from beam_mat.work.mix import mix

WRITTEN = "written"
"""Tag of the output of `WriteChunk` with the written chunks."""

MISSING = "missing"
"""Tag of the output of `Match` with the images that no source has."""


class SplitShard(FileStep):
    """Scans a shard once and yields references to its chunks."""

    def process(self, shard: Shard) -> Iterator[Chunk]:
        found = chunks.split(self._settings, shard)
        at = 0
        while True:
            with timed("split"):
                chunk = next(found, None)
            if chunk is None:
                break
            end = at if chunk.copy else chunk.end  # the size is that of the compressed file
            send_progress(self._settings.progress, records=chunk.count, bytes=end - at)
            at = end
            yield chunk
        send_progress(self._settings.progress, bytes=shard.size - at)


class RequestImages(FileStep):
    """Yields each distinct image path in a chunk's records, with the chunk's name."""

    def process(self, chunk: Chunk) -> Iterator[tuple[str, PathFact]]:
        with timed("request"):
            found = chunks.request(self._settings, chunk)
        send_progress(self._settings.progress, requested=chunk.count)
        asked = PathFact(chunk=chunk.name)
        for path in found.images:
            yield path, asked
        for member in found.inline:
            yield member.path, PathFact(member=member)


class ListMembers(FileStep):
    """Yields the members of an archive or folder, by each spelling of their paths."""

    def process(self, source: Source) -> Iterator[tuple[str, PathFact]]:
        members = list_members(self._settings, source)
        with timed("catalog"):
            first = next(members, None)  # the listing is read here
        held = requests.pool().submit(inputs.require_unchanged, source)
        for member in itertools.chain([first] if first else [], members):
            for path in spellings(member.path):
                yield path, PathFact(member=member)
        held.result()  # the request ran in the meantime


@beam.typehints.with_output_types(tuple[str, Wanted], missing=Wanted)
class Match(ProgressStep):
    """Selects the first source's member for each requested path, and keys it by its batch.

    Yields the images that no source has with a tag.
    """

    def process(self, element: tuple[str, Iterable[PathFact]]) -> Iterator[Any]:
        path, facts = element[0], list(element[1])
        chunks = tuple(sorted(fact.chunk for fact in facts if fact.chunk))
        if not chunks:
            return
        member = best(path, (fact.member for fact in facts if fact.member))
        self._progress.add(wanted=1)
        wanted = Wanted(path, member, chunks)
        yield (batch_of(path, member), wanted) if member else TaggedOutput(MISSING, wanted)


_Running = tuple[Sequence[Wanted], futures.Future[tuple[list[ImageRow], str]]]
"""A batch that a thread converts."""


class ConvertImages(ProgressStep):
    """Converts the images of a batch, and yields their outcomes for each waiting chunk.

    The next batch begins before a batch ends, so that no image worker waits. `sources` are all
    image sources of the job. `of_batch` does the work.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Iterable[Source],
        of_batch: Callable[..., tuple[list[ImageRow], str]] = convert_batch,
    ) -> None:
        super().__init__(settings)
        self._sources = {source.order: source for source in sources}
        self._of_batch = of_batch

    def start_bundle(self) -> None:
        super().start_bundle()
        self._running: _Running | None = None

    def process(self, element: tuple[str, Iterable[Wanted]]) -> Iterator[tuple[str, ChunkFact]]:
        before = self._running
        batch, wanted = element[0], sorted(element[1], key=lambda item: item.path)
        if wanted[0].member is None:
            write_groups(self._settings, batch, wanted)
        work = (self._settings, batch, wanted, self._source_of, self._converted)
        # Its threads do not keep an interrupted process alive.
        self._running = wanted, shared_unbounded_instance().submit(self._of_batch, *work)
        yield from self._finished(before)
        self._progress.flush()  # bundles of a service can be long

    def finish_bundle(self) -> Iterator[Any]:
        yield from map(GlobalWindows.windowed_value, self._finished(self._running))
        super().finish_bundle()

    def _finished(self, running: _Running | None) -> Iterator[tuple[str, ChunkFact]]:
        if running:
            wanted, future = running
            try:
                with timed("images"):
                    rows, table = future.result()
            except Exception:
                if self._running:
                    futures.wait([self._running[1]])  # nothing goes on after a failure
                raise
            yield from outcomes(wanted, rows, table)

    def _source_of(self, member: Member) -> tuple[str, str]:
        if member.packing is Packing.INLINE:
            return member.source, member.version
        source = self._sources[member.order]
        return source.uri, "" if member.packing is Packing.FILE else source.version


def outcomes(
    wanted: Sequence[Wanted], rows: Iterable[ImageRow], table: str
) -> Iterator[tuple[str, ChunkFact]]:
    """Yields the outcomes of a batch, grouped by the chunks that wait for its images."""
    chunks = {item.path: item.chunks for item in wanted}
    by_chunk = defaultdict[str, list[ImageOutcome]](list)
    for row in rows:
        outcome = row.outcome()
        count("images_ok" if outcome.fault is None else "images_faulty")
        for name in chunks[row.path]:
            by_chunk[name].append(outcome)
    for name, found in by_chunk.items():
        yield name, ChunkFact(outcomes=tuple(found), table=table)


class ListIds(FileStep):
    """Yields each valid record's id: with the shard's order, its index and the chunk's name."""

    def process(self, chunk: Chunk) -> Iterator[tuple[str, tuple[int, int, str]]]:
        for index, id in chunks.ids(self._settings, chunk):
            yield id, (chunk.shard.order, index, chunk.name)


def find_repeated(
    element: tuple[str, Iterable[tuple[int, int, str]]],
) -> Iterator[tuple[str, ChunkFact]]:
    """Yields chunk name and index of every record whose id an earlier record has."""
    for _, index, name in sorted(element[1])[1:]:
        yield name, ChunkFact(repeated=index)


@beam.typehints.with_output_types(tuple[str, Unit], written=tuple[str, tuple[Chunk, Written]])
class WriteChunk(FileStep):
    """Writes the parts and the rejects of a chunk. `of_chunk` does the work.

    Yields the written units, keyed by split, and the chunk, keyed by its shard's stem.
    """

    def __init__(
        self,
        settings: Settings,
        of_chunk: Callable[..., tuple[Written, ChunkOutput]] = chunks.write,
    ) -> None:
        super().__init__(settings)
        self._of_chunk = of_chunk

    def process(self, element: tuple[str, Iterable[ChunkFact]]) -> Iterator[Any]:
        facts = list(element[1])
        (chunk,) = (fact.chunk for fact in facts if fact.chunk)
        with timed("write"):
            written, output = self._of_chunk(self._settings, facts)
        count_written(self._settings, output)
        for unit in output.units:
            yield "-".join(filter(None, unit.group)), unit
        yield TaggedOutput(WRITTEN, (chunk.shard.stem(self._settings.digest()), (chunk, written)))


def count_written(settings: Settings, output: ChunkOutput) -> None:
    """Counts the records of a written chunk."""
    rejected = output.records - output.accepted
    count("records_accepted", output.accepted)
    count("records_rejected", rejected)
    send_progress(settings.progress, written=output.records, rejected=rejected)


class SummariseShard(FileStep):
    """Writes the summary of a shard, so that the driver reads one file per shard."""

    def process(self, element: tuple[str, Iterable[tuple[Chunk, Written]]]) -> None:
        found = list(element[1])
        with timed("summarise"):
            shard = found[0][0].shard
            summed = chunks.summary(self._settings, shard, (written for _, written in found))
            chunks.write_summary(self._settings, summed, exact=False)


def plan_mix(element: tuple[str, Iterable[Unit]]) -> Iterable[MixJob]:
    """Pairs a split's text-only units with units that have images."""
    return plan(list(element[1]))


class MixUnits(FileStep):
    """Writes the mixed parts; see `beam_mat.work.mix`."""

    def process(self, job: MixJob) -> None:
        with timed("mix"):
            mix(self._settings, job)
