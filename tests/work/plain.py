"""A conversion without an engine: the functions of `beam_mat.work`, one after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.job import IN_PROCESS, Job
from beam_mat.core.member import Member, best
from beam_mat.core.member_name import spellings
from beam_mat.core.results import (
    ChunkFact,
    ChunkOutput,
    ImageOutcome,
    ShardSummary,
    Source,
    Wanted,
    Written,
)
from beam_mat.core.settings import Settings
from beam_mat.dataset import conversion
from beam_mat.dataset.commit import CONVERT, Snapshot
from beam_mat.dataset.conversion import fingerprint, made_of
from beam_mat.dataset.dataset import Dataset
from beam_mat.dataset.state import Command, State
from beam_mat.storage import files, inputs
from beam_mat.work import chunks
from beam_mat.work.images import batch_of, convert_batch, list_members
from beam_mat.work.mix import mix, plan_mixes


def shard_at(path: Path | str, order: int = 0) -> Shard:
    """A shard as a job has it."""
    found = files.info(str(path))
    return Shard(found.uri, order, found.size, found.version)


def source_at(path: Path | str, order: int = 0) -> Source:
    """A zip or folder as a job has it."""
    found = inputs.identify(str(path))
    return Source(found.uri, order, found.size, found.version)


def job_of(
    output: Path | str, shards: Sequence[Path], images: Sequence[Path] = (), **options: object
) -> Job:
    """A job with its fingerprint."""
    job = Job(
        tuple(shard_at(path, order) for order, path in enumerate(shards)),
        tuple(source_at(path, order) for order, path in enumerate(images)),
        msgspec.structs.replace(Settings(str(output), formats=("jsonl",)), **options),
        None,
        None,
        IN_PROCESS,
    )
    settings = msgspec.structs.replace(job.settings, fingerprint=fingerprint(job))
    return msgspec.structs.replace(job, settings=settings)


def convert(job: Job) -> list[ShardSummary]:
    """Does what the graph of a job does, and returns the summaries of its shards."""
    settings = job.settings
    split = {shard: list(chunks.split(settings, shard)) for shard in job.shards}
    facts = image_facts(settings, [one for some in split.values() for one in some], job.sources)
    summaries = []
    for shard, some in split.items():
        written = [write(settings, one, facts.get(one.name, ()))[0] for one in some]
        if not written:
            continue  # no step comes across a shard without records
        summary = chunks.summary(settings, shard, written)
        chunks.write_summary(settings, summary, exact=False)
        summaries.append(summary)
    for one in plan_mixes(summaries)[1]:
        mix(settings, one)
    return summaries


def make(job: Job, keep: int | None = 1) -> Snapshot:
    """Converts and commits, as ``beam-mat convert`` does; returns the newest generation."""
    settings = job.settings
    how = made_of(settings, CONVERT, keep, job.limit)
    with Dataset.open(settings.output, Command.CONVERT, print) as dataset:
        resumed = msgspec.structs.replace(settings, resume=dataset.state is not State.EMPTY)
        job = msgspec.structs.replace(job, settings=resumed)
        dataset.begin(job, keep)
        convert(job)
        return dataset.commit(how, conversion.collect(job))


def write(
    settings: Settings, chunk: Chunk, facts: Iterable[ChunkFact] = ()
) -> tuple[Written, ChunkOutput]:
    """Writes a chunk of which all is known."""
    return chunks.write(settings, [*facts, ChunkFact(chunk=chunk)])


def finish(settings: Settings, shard: Shard, sources: Iterable[Source]) -> str:
    """Does what the graph of a watch does to a shard; returns the name of the summary."""
    some = list(chunks.split(settings, shard))
    facts = image_facts(settings, some, sources)
    written = [write(settings, one, facts.get(one.name, ()))[0] for one in some]
    return chunks.write_summary(settings, chunks.summary(settings, shard, written), exact=True)


def image_facts(
    settings: Settings, some: Iterable[Chunk], sources: Iterable[Source]
) -> dict[str, list[ChunkFact]]:
    """Converts the images that chunks request; the facts are by the chunk's name."""
    by_order = {source.order: source for source in sources}
    members = defaultdict[str, list[Member]](list)
    for source in by_order.values():
        for member in list_members(settings, source):
            for path in spellings(member.path):
                members[path].append(member)
    waiting = defaultdict[str, list[str]](list)
    for chunk in some:
        for path in chunks.request(settings, chunk).images:
            waiting[path].append(chunk.name)
    batches = defaultdict[str, list[Wanted]](list)
    for path, names in sorted(waiting.items()):
        found = best(path, members[path])
        batches[batch_of(path, found)].append(Wanted(path, found, tuple(names)))

    def source_of(member: Member) -> tuple[str, str]:
        return by_order[member.order].uri, by_order[member.order].version

    facts = defaultdict[str, list[ChunkFact]](list)
    for batch, wanted in batches.items():
        rows, table = convert_batch(settings, batch, wanted, source_of, lambda _: None)
        outcomes: dict[str, ImageOutcome] = {row.path: row.outcome() for row in rows}
        for one in wanted:
            for name in one.chunks:
                facts[name].append(ChunkFact(outcomes=(outcomes[one.path],), table=table))
    return facts
