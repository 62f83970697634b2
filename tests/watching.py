"""Does the work of a watch's graph in order and in this process, without a runner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from beam_mat.core.chunk import Shard
from beam_mat.core.member import Member
from beam_mat.core.references import ChunkFact, Source, Wanted, Written
from beam_mat.core.settings import Settings
from beam_mat.dataset.commit import Commit
from beam_mat.storage import catalog
from beam_mat.watch.commit import Committer
from beam_mat.work import chunks
from beam_mat.work.images import batch_of, convert_batch


def take_in(
    committer: Committer, settings: Settings, shards: Sequence[Shard], zips: Sequence[Source]
) -> Commit | None:
    """Converts shards with the images of zips, and commits them as one generation."""
    members: dict[str, Member] = {}
    for source in sorted(zips, key=lambda one: -one.order):
        for member in catalog.members(source.uri, source.order):
            members[member.path] = msgspec.structs.replace(member, version=source.version)
    finished = [
        chunks.write_summary(
            settings,
            chunks.summary(settings, shard, _written(settings, shard, members)),
            exact=True,
        )
        for shard in shards
    ]
    return committer.commit(finished, zips)


def _written(settings: Settings, shard: Shard, members: dict[str, Member]) -> list[Written]:
    written = []
    for chunk in list(chunks.split(settings, shard)):
        batches = defaultdict[str, list[Wanted]](list)
        for path in sorted(chunks.request(settings, chunk).images):
            member = members.get(path)
            batches[batch_of(path, member)].append(Wanted(path, member, (chunk.name,)))
        facts = [ChunkFact(chunk=chunk)]
        for batch, wanted in batches.items():
            made = convert_batch(
                settings,
                batch,
                wanted,
                lambda member: (member.source, member.version),
                lambda _: None,
            )
            outcomes = tuple(row.outcome() for row in made.rows)
            facts.append(ChunkFact(outcomes=outcomes, table=made.table))
        written.append(chunks.write(settings, facts)[0])
    return written
