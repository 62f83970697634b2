"""Requested paths meet image sources; each image that is found is read and written once."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.pvalue import TaggedOutput

from beam_mat.core import layout
from beam_mat.core.member import Member
from beam_mat.core.notes import ChunkFact, ImageOutcome, PathFact, Source, UnusedNote, Wanted
from beam_mat.core.reject import Reason
from beam_mat.core.settings import Settings
from beam_mat.storage import ahead, catalog, files, images, inputs, notes
from beam_mat.storage.fetch import fetch
from beam_mat.transforms.measure import Progress, count, timed
from beam_mat.transforms.step import FileStep

TINY_BYTES = 4 << 10
"""Packed size below which an image is not worth another thread."""

UNUSED = "unused"
"""The output with the images of earlier runs that this one does not use."""

UNUSED_KEYS = 64
"""Notes of such images, at most."""

MISSING_BATCHES = 256
"""Of images that no source has: all of one lie in memory together, and each is a small file."""


class _Telling(FileStep):
    """Tells of its progress image by image, gathered over a bundle."""

    def start_bundle(self) -> None:
        """Begins counting."""
        self._told = Progress(self._settings.progress)

    def finish_bundle(self) -> None:
        """Tells the rest."""
        self._told.flush()


@beam.typehints.with_input_types(Source)
@beam.typehints.with_output_types(tuple[str, PathFact])
class ListMembers(FileStep):
    """Yields what a zip or folder holds, by path."""

    def process(self, source: Source) -> Iterator[tuple[str, PathFact]]:
        """Reads the central directory, or lists the folder."""
        members = catalog.members(source.uri, source.order)
        with timed("catalog"):
            first = next(members, None)  # by then all has been read
        held = ahead.pool().submit(inputs.hold, source)
        for member in itertools.chain([first] if first else [], members):
            yield member.path, PathFact(member=member)
        held.result()  # a store has had time to answer


@beam.typehints.with_input_types(tuple[str, Iterable[PathFact]])
@beam.typehints.with_output_types(tuple[str, Wanted], unused=tuple[str, str])
class Match(_Telling):
    """Takes the first source's member for each requested path, and keys it by its batch."""

    def process(self, element: tuple[str, Iterable[PathFact]]) -> Iterator[Any]:
        """Yields nothing for a path that no record asks for, unless an earlier run wrote it."""
        path, facts = element[0], list(element[1])
        chunks = tuple(sorted(fact.chunk for fact in facts if fact.chunk))
        held = (fact.member for fact in facts if fact.member)
        member = min(held, key=lambda member: member.order, default=None)
        told = tuple(sorted(fact.note for fact in facts if fact.note))
        if told and not (chunks and member):
            yield TaggedOutput(UNUSED, (_unused(path), path))
            told = ()
        if chunks:
            self._told.add(wanted=1)
            yield _batch(path, member), Wanted(path, member, chunks, told)


def _batch(path: str, member: Member | None) -> str:
    return missing_batch(path) if member is None else f"{member.order} {member.batch}"


def missing_batch(path: str) -> str:
    """The batch of an image that no source has."""
    return f"missing {_one_of(MISSING_BATCHES, path)}"


def _unused(path: str) -> str:
    return f"{_one_of(UNUSED_KEYS, path):03}"


def _one_of(number: int, path: str) -> int:
    return hashlib.sha256(path.encode()).digest()[0] % number


@beam.typehints.with_input_types(tuple[str, Iterable[str]])
class NoteUnused(FileStep):
    """Notes which images of earlier runs are not used. They stay until there is a dataset."""

    def process(self, element: tuple[str, Iterable[str]]) -> None:
        """Leaves a note of the job's generation."""
        name = f"{self._settings.generation}/{element[0]}"
        note = UnusedNote(tuple(sorted(set(element[1]))))
        notes.leave(self._settings, layout.UNUSED_NOTES, name, note)


@beam.typehints.with_input_types(tuple[str, Iterable[Wanted]])
@beam.typehints.with_output_types(tuple[str, ChunkFact], unused=tuple[str, str])
class ConvertImages(_Telling):
    """Reads a batch in a few ranges, and checks, resizes and writes its images side by side.

    An image that an earlier run has made out of the same member, and that is there, is left alone.
    """

    def __init__(self, settings: Settings, sources: Iterable[Source]) -> None:
        super().__init__(settings)
        self._versions = {source.uri: source.version for source in sources}

    def process(self, element: tuple[str, Iterable[Wanted]]) -> Iterator[Any]:
        """Yields for each waiting chunk the outcomes of its images in this batch."""
        wanted = sorted(element[1], key=lambda item: item.path)
        with timed("images"):
            known = self._known(wanted)
            self._told.add(images=len(known))
            rows = [images.missing(item.path) for item in wanted if item.member is None]
            members = [item.member for item in wanted if item.member and item.path not in known]
            with files.Outbox() as outbox:
                rows += [*known.values(), *self._convert(members, outbox)]
            rows.sort(key=lambda row: row.path)
            if len(known) < len(rows) or not self._settings.watched:
                images.leave_rows(self._settings, element[0], rows)
        self._told.flush()  # a service's bundle can be long
        if not self._settings.watched:
            for row, item in zip(rows, wanted, strict=True):
                if item.notes and row.sha256 is None:
                    yield TaggedOutput(UNUSED, (_unused(row.path), row.path))
        by_chunk = defaultdict[str, list[ImageOutcome]](list)
        for row, item in zip(rows, wanted, strict=True):
            outcome = row.outcome()
            count("images_ok" if outcome.fault is None else "images_faulty")
            for name in item.chunks:
                by_chunk[name].append(outcome)
        for name, outcomes in by_chunk.items():
            yield name, ChunkFact(outcomes=tuple(outcomes))

    def _known(self, wanted: list[Wanted]) -> dict[str, images.ImageRow]:
        names = {note for item in wanted for note in item.notes}
        origins = {item.path: self._origin(item.member) for item in wanted if item.member}
        return images.unchanged(self._settings, origins, sorted(names)) if names else {}

    def _origin(self, member: Member) -> str:
        version = self._versions.get(member.source, member.version)
        return member.origin(version, self._settings.image_digest())

    def _convert(self, members: list[Member], outbox: files.Outbox) -> Iterator[images.ImageRow]:
        settings = self._settings

        def one(pair: tuple[Member, Any]) -> images.ImageRow:
            row = images.convert(settings, *pair, outbox)
            self._told.add(images=1)
            if row.status == Reason.UNSAFE_PATH:
                return row  # perhaps for what lay in its way then
            return msgspec.structs.replace(row, origin=self._origin(pair[0]))

        # Pillow and the resizer let go of the interpreter lock, so that threads use every core; for
        # tiny images that takes longer than the work itself.
        tiny = []
        large = []
        for pair in fetch(members):
            if pair[0].packed < TINY_BYTES:
                tiny.append(pair)
            else:
                large.append(pool(settings.image_threads).submit(one, pair))
        return itertools.chain(map(one, tiny), (done.result() for done in large))


@functools.cache
def pool(threads: int) -> ThreadPoolExecutor:
    """One pool a process, however many bundles a runner works on at once."""
    return ThreadPoolExecutor(threads, thread_name_prefix="image")
