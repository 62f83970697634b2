"""The steps of a watch: the same work as in a conversion, on inputs that may change.

A changed input ends a conversion. In a watch it is normal: the work on the old version is dropped,
and the intake finds the new version. Annotations are evaluated here: Beam chooses the coders by the
types of `process`.
"""

import contextlib
import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import msgspec
import pyarrow.parquet as pq
from apache_beam.pvalue import TaggedOutput

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import ShardError, SourceError
from beam_mat.core.member import Member, Packing, best
from beam_mat.core.member_name import spellings
from beam_mat.core.results import ChunkFact, PathFact, Source, Wanted
from beam_mat.dataset.views import read_manifest
from beam_mat.storage import files, inputs
from beam_mat.transforms.conversion import count_written, outcomes
from beam_mat.transforms.step import FileStep, ProgressStep, send_progress, timed
from beam_mat.watch.arrivals import order_of
from beam_mat.watch.joins import WatchStep, stem_of
from beam_mat.watch.messages import (
    ChunkProgress,
    CommitFact,
    ShardFact,
    WatchSettings,
    record_fault,
    request_reprocessing,
)
from beam_mat.work import chunks
from beam_mat.work.images import batch_of, convert_batch, list_members

SHARDS, CHUNKS, SOURCES = "shards", "chunks", "sources"
"""Tags of facts about whole shards, chunks and zips."""

TRIES = 3
"""How often a batch is read if its zip changes during the reads."""

_LOG = logging.getLogger(__name__)
_CHANGED = (SourceError, FileNotFoundError)


def _gone(shard: Shard, stem: str, error: Exception) -> TaggedOutput:
    """Returns the fact that a shard has changed. Raises `error` if the shard has not changed."""
    if not inputs.change(shard):
        raise error
    _LOG.warning(
        "%s: changed or was deleted while it was read; no record of that version is committed",
        shard.uri,
    )
    return TaggedOutput(SHARDS, (stem, ShardFact(shard=shard, gone=True)))


@beam.typehints.with_output_types(Chunk, shards=tuple[str, ShardFact])
class Split(FileStep):
    """Splits a shard, and yields its number of chunks at the end.

    A file that is no shard is named and left out until it has a new version.
    """

    def process(self, shard: Shard) -> Iterator[Any]:
        stem = shard.stem(self._settings.digest())
        try:
            with timed("split"):
                found = list(chunks.split(self._settings, shard))
        except ShardError as error:
            _LOG.warning("%s; the file is left out until it is replaced", error)
            record_fault(self._settings, shard, str(error))
            yield TaggedOutput(SHARDS, (stem, ShardFact(shard=shard, gone=True)))
            return
        except _CHANGED as error:
            yield _gone(shard, stem, error)
            return
        record_fault(self._settings, shard, None)
        send_progress(self._settings.progress, records=sum(chunk.count for chunk in found))
        yield from found
        yield TaggedOutput(SHARDS, (stem, ShardFact(shard=shard, chunks=len(found))))


@beam.typehints.with_output_types(
    tuple[str, PathFact], shards=tuple[str, ShardFact], chunks=tuple[str, ChunkProgress]
)
class Request(FileStep):
    """Requests a chunk's images, and yields their number."""

    def process(self, chunk: Chunk) -> Iterator[Any]:
        try:
            with timed("request"):
                found = chunks.request(self._settings, chunk)
        except _CHANGED as error:
            yield _gone(chunk.shard, stem_of(chunk.name), error)
            return
        send_progress(self._settings.progress, requested=chunk.count)
        yield TaggedOutput(CHUNKS, (chunk.name, ChunkProgress(chunk, len(found.images))))
        asked = PathFact(chunk=chunk.name)
        for path in found.images:
            yield path, asked
        for member in found.inline:
            yield member.path, PathFact(member=member)


class Write(FileStep):
    """Writes a chunk's files, and yields this fact for its shard."""

    def process(self, element: tuple[str, Iterable[ChunkFact]]) -> Iterator[tuple[str, ShardFact]]:
        stem, facts = stem_of(element[0]), list(element[1])
        (chunk,) = (fact.chunk for fact in facts if fact.chunk)
        try:
            with timed("write"):
                written, output = chunks.write(self._settings, facts)
        except _CHANGED as error:
            yield _gone(chunk.shard, stem, error).value
            return
        count_written(self._settings, output)
        yield stem, ShardFact(written=(written,))


class Summarise(FileStep):
    """Writes the summary of a shard whose chunks are written."""

    def process(self, complete: ShardFact) -> Iterator[tuple[str, CommitFact]]:
        assert complete.shard
        with timed("summarise"):
            summed = chunks.summary(self._settings, complete.shard, complete.written)
            name = chunks.write_summary(self._settings, summed, exact=True)
        yield "", CommitFact(summary=name)


@beam.typehints.with_output_types(tuple[str, PathFact], sources=tuple[str, CommitFact])
class ListZip(WatchStep):
    """Lists a zip. An unreadable zip is left out until it has a new version."""

    def process(self, source: Source) -> Iterator[Any]:
        try:
            outdated = _outdated_images(self._watch, source)
            with timed("catalog"):
                members = list_members(self._settings, source)
                first = next(members, None)  # all of the directory is read here
            inputs.require_unchanged(source)
        except _CHANGED as error:
            if not inputs.change(source):
                _LOG.warning("%s; its images are left out until it is replaced", error)
                record_fault(self._settings, source, str(error))
            return
        for member in itertools.chain([first] if first else [], members):
            # Zips are replaced during a watch, so each member has the version of its zip.
            dated = msgspec.structs.replace(member, version=source.version)
            for path in spellings(member.path):
                if path in outdated:
                    request_reprocessing(self._settings, "", path)
                yield path, PathFact(member=dated)
        record_fault(self._settings, source, None)
        yield TaggedOutput(SOURCES, ("", CommitFact(source=source)))


def _outdated_images(watch: WatchSettings, source: Source) -> set[str]:
    """Returns the published paths of images in the dataset that a zip replaces if it has them.

    These are the images from zips with lower precedence (by pattern and name) and from other
    versions of this zip. While a watch runs, the join by path knows the zip of each image. For
    images of earlier runs images.parquet has it, because a zip may have arrived while no watch ran.
    """
    output = watch.settings.output
    found = read_manifest(output)
    if found is None or any(
        (one.uri, one.version) == (source.uri, source.version) for one in found.inputs.images
    ):
        return set()  # its images are in the dataset already
    outdated = set()
    with (
        contextlib.suppress(FileNotFoundError),
        files.open_binary(files.join(output, layout.IMAGE_TABLE)) as file,
    ):
        for batch in pq.ParquetFile(file).iter_batches(columns=["path", "source"]):
            for path, uri in zip(*(column.to_pylist() for column in batch), strict=True):
                if uri and (source.order, source.uri) <= _precedence(watch, uri):
                    outdated.add(path)
    return outdated


def _precedence(watch: WatchSettings, uri: str) -> tuple[int, str]:
    order = order_of(uri, [one.uri for one in watch.images])
    return (len(watch.images) if order is None else order), uri


class Convert(ProgressStep):
    """Converts a batch of images. If its zip has changed, the new version is used."""

    def __init__(self, watch: WatchSettings) -> None:
        super().__init__(watch.settings)
        self._watch = watch

    def process(self, element: tuple[str, Iterable[Wanted]]) -> Iterator[tuple[str, ChunkProgress]]:
        batch, wanted = element[0], _once(element[1])
        zips = {item.member.source for item in wanted if item.member}  # at most one
        for _ in range(TRIES):
            try:
                with timed("images"):
                    rows, table = convert_batch(
                        self._settings, batch, wanted, _source_of, self._converted
                    )
            except _CHANGED:
                current = self._current(wanted)
                if current == wanted:
                    raise
            else:
                current = self._current(wanted)
                if current == wanted:
                    self._progress.flush()
                    for name, fact in outcomes(wanted, rows, table):
                        yield name, ChunkProgress(outcomes=fact.outcomes, tables=(fact.table,))
                    return
            wanted = current
            if all(item.member is None for item in wanted):
                batch = batch_of(wanted[0].path, None)
        raise SourceError(
            f"{', '.join(zips)}: changed {TRIES} times while it was read; wait until it is "
            "complete, and run the same command again"
        )

    def _current(self, wanted: list[Wanted]) -> list[Wanted]:
        """Returns the images of a batch as their zip has them now."""
        members = [item.member for item in wanted if item.member]
        if not members or members[0].packing is Packing.INLINE:
            return wanted
        source, order, before = members[0].source, members[0].order, members[0].version
        found: dict[str, list[Member]] = {item.path: [] for item in wanted}
        try:
            version = inputs.identify(source, before).version
            if all(member.version == version for member in members):
                return wanted
            listed = Source(source, order, prefix=self._watch.images[order].prefix)
            for member in list_members(self._settings, listed):
                for path in spellings(member.path):
                    if path in found:
                        found[path].append(msgspec.structs.replace(member, version=version))
        except _CHANGED:  # the next version is listed when it arrives
            found = {item.path: [] for item in wanted}
        return [
            msgspec.structs.replace(item, member=best(item.path, found[item.path]))
            for item in wanted
        ]


def _source_of(member: Member) -> tuple[str, str]:
    return member.source, member.version


def _once(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Returns each image once, for all chunks that wait for it, by path."""
    by_path: dict[str, Wanted] = {}
    for item in wanted:
        known = by_path.get(item.path)
        waiting = (*known.chunks, *item.chunks) if known else item.chunks
        member = item.member or (known.member if known else None)
        by_path[item.path] = Wanted(item.path, member, tuple(dict.fromkeys(waiting)))
    return [by_path[path] for path in sorted(by_path)]
