"""A conversion's steps in a watch: the same work, told apart from inputs that change meanwhile.

In a conversion a changed input ends the job. Here it is news: what was begun of the old version is
given up, and the new one is on its way already.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import apache_beam as beam
import msgspec
from apache_beam.pvalue import TaggedOutput

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import SourceError
from beam_mat.core.notes import ChunkFact, PathFact, Source, Unit, Wanted
from beam_mat.storage import catalog, images, inputs
from beam_mat.transforms.images import ConvertImages, ListMembers, missing_batch
from beam_mat.transforms.request import RequestImages
from beam_mat.transforms.split import SplitShard
from beam_mat.transforms.write import WriteChunk
from beam_mat.watch import precedence, unreadable, wakes
from beam_mat.watch.facts import ChunkProgress, CommitFact, ShardFact, WatchSettings
from beam_mat.watch.joins import stem_of

SHARDS: Literal["shards"] = "shards"
"""Tag of what a step tells of whole shards."""
CHUNKS: Literal["chunks"] = "chunks"
"""Tag of what a step tells of whole chunks."""
SOURCES: Literal["sources"] = "sources"
"""Tag of what a step tells of whole zips."""

TRIES = 3
"""How often a batch is read anew because its zip has changed meanwhile."""

_LOG = logging.getLogger(__name__)
_CHANGED = (SourceError, FileNotFoundError)


def _gone(shard: Shard, stem: str, error: Exception) -> TaggedOutput:
    """Word that a shard is no more what it was; raises `error` where that is not why it failed."""
    if not inputs.change(shard):
        raise error
    _LOG.warning(
        "%s: changed or was removed while it was read; nothing of that version is taken", shard.uri
    )
    return TaggedOutput(SHARDS, (stem, ShardFact(shard=shard, gone=True)))


@beam.typehints.with_input_types(Shard)
@beam.typehints.with_output_types(Chunk, shards=tuple[str, ShardFact])
class Split(SplitShard):
    """Splits a shard, and says of how many chunks it is when all are known."""

    def process(self, shard: Shard) -> Iterator[Any]:
        stem = shard.stem(self._settings.digest())
        count = 0
        try:
            for chunk in super().process(shard):
                count += 1
                yield chunk
        except _CHANGED as error:
            yield _gone(shard, stem, error)
            return
        yield TaggedOutput(SHARDS, (stem, ShardFact(shard=shard, chunks=count)))


@beam.typehints.with_input_types(Chunk)
@beam.typehints.with_output_types(
    tuple[str, PathFact], shards=tuple[str, ShardFact], chunks=tuple[str, ChunkProgress]
)
class Request(RequestImages):
    """Asks for a chunk's images, and says how many these are."""

    def process(self, chunk: Chunk) -> Iterator[Any]:
        try:
            asked = list(super().process(chunk))
        except _CHANGED as error:
            yield _gone(chunk.shard, stem_of(chunk.name), error)
            return
        yield TaggedOutput(CHUNKS, (chunk.name, ChunkProgress(chunk, len(asked))))
        yield from asked


@beam.typehints.with_input_types(tuple[str, Iterable[ChunkFact]])
@beam.typehints.with_output_types(tuple[str, ShardFact])
class Write(WriteChunk):
    """Writes a chunk's files, and says so to its shard."""

    def process(self, element: tuple[str, Iterable[ChunkFact]]) -> Iterator[Any]:
        name, facts = element
        (chunk,) = (fact.chunk for fact in facts if fact.chunk)
        stem = stem_of(name)
        try:
            units: list[tuple[str, Unit]] = list(super().process(element))
        except _CHANGED as error:
            yield _gone(chunk.shard, stem, error).value
            return
        del units  # the commit reads them from the chunk's note
        yield stem, ShardFact(written=(name,))


@beam.typehints.with_input_types(Source)
@beam.typehints.with_output_types(tuple[str, PathFact], sources=tuple[str, CommitFact])
class ListZip(ListMembers):
    """Lists a zip. One that cannot be read harms no other: it waits for its next version."""

    def __init__(self, watch: WatchSettings) -> None:
        super().__init__(watch.settings)
        self._watch = watch

    def process(self, source: Source) -> Iterator[Any]:
        try:
            outdated = precedence.outdated(self._watch, source)
            for path, fact in super().process(source):
                assert fact.member
                if path in outdated:
                    wakes.leave(self._settings, "", path)
                # Members of zips that come and go have to know of which version they are.
                member = msgspec.structs.replace(fact.member, version=source.version)
                yield path, PathFact(member=member)
        except _CHANGED as error:
            if not inputs.change(source):
                _LOG.warning("%s: left out until it is replaced", error)
                unreadable.leave(self._settings, source, str(error))
            return
        unreadable.remove(self._settings, source)
        yield TaggedOutput(SOURCES, ("", CommitFact(source=source)))


@beam.typehints.with_input_types(tuple[str, Iterable[Wanted]])
@beam.typehints.with_output_types(tuple[str, ChunkProgress])
class Convert(ConvertImages):
    """Converts a batch of images: those of a zip that has changed, as they lie in the new one."""

    def __init__(self, watch: WatchSettings) -> None:
        super().__init__(watch.settings, ())

    def process(self, element: tuple[str, Iterable[Wanted]]) -> Iterator[Any]:
        batch, wanted = element[0], _once(element[1])
        for _ in range(TRIES):
            notes = images.notes_of(self._settings, batch)
            wanted = [msgspec.structs.replace(item, notes=notes) for item in wanted]
            told: list[tuple[str, ChunkFact]] = []
            failure: Exception | None = None
            try:
                told = list(super().process((batch, wanted)))
            except _CHANGED as error:
                failure = error
            changed = _changed(wanted)
            if not changed:
                if failure:
                    raise failure
                for name, fact in told:
                    yield name, ChunkProgress(outcomes=fact.outcomes)
                return
            wanted = [_renewed(item, changed) for item in wanted]
            if all(item.member is None for item in wanted):
                batch = missing_batch(batch)
        raise SourceError(
            f"{', '.join(changed)}: changes all the time; wait until it is whole, run again"
        )


def _once(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Each image once, for all chunks that wait for it."""
    by_path: dict[str, Wanted] = {}
    for item in wanted:
        known = by_path.get(item.path)
        chunks = (*known.chunks, *item.chunks) if known else item.chunks
        member = item.member or (known.member if known else None)
        by_path[item.path] = Wanted(item.path, member, tuple(dict.fromkeys(chunks)))
    return list(by_path.values())


def _changed(wanted: Iterable[Wanted]) -> dict[str, dict[str, Any]]:
    """Zips that are no more those of which members are wanted: what they hold now, by path."""
    members = {item.member.source: item.member for item in wanted if item.member}
    found: dict[str, dict[str, Any]] = {}
    for uri, member in members.items():
        try:
            now = inputs.look(uri)
            if now.version == member.version:
                continue
            held = catalog.members(uri, member.order)
            found[uri] = {
                one.path: msgspec.structs.replace(one, version=now.version) for one in held
            }
        except _CHANGED:
            found[uri] = {}  # a new version will tell what is in it
    return found


def _renewed(item: Wanted, changed: dict[str, dict[str, Any]]) -> Wanted:
    if item.member is None or item.member.source not in changed:
        return item
    member = changed[item.member.source].get(item.path)
    return msgspec.structs.replace(item, member=member)
