"""Generations: the log of a watched dataset, and what a dataset is after so many of them.

A generation is one commit: the shards that it takes in anew or again, and with them the part files
that the dataset gains and loses. The log alone says what is in the dataset; all of this is a
function of the generations in order, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import LostRecordError
from beam_mat.core.mix import plan
from beam_mat.core.notes import ChunkNote, MixJob, MixNote, Part, Source, Unit
from beam_mat.core.settings import FORMAT

WHOLE_EVERY = 64
"""Every so many generations a file stands for all up to there: no reader needs more than these."""


class Changes(msgspec.Struct, frozen=True):
    """Files that the dataset gains and loses."""

    added: tuple[Part, ...] = ()
    removed: tuple[Part, ...] = ()


class Mixes(msgspec.Struct, frozen=True):
    """Mixes of text-only rows that the dataset gains, and names of those that it loses."""

    added: tuple[MixNote, ...] = ()
    removed: tuple[str, ...] = ()


class ShardEntry(msgspec.Struct, frozen=True):
    """A shard of the dataset, in the version that is in it.

    Attributes:
        uri: Where it was.
        order: Number of the pattern that it came by.
        size: Bytes.
        version: As in `beam_mat.core.chunk.Shard`.
        records: Records in it.
        accepted: How many of them are rows.
        rejected: How many of them are not.
        stem: `Shard.stem`.
        chunks: What became of each chunk.
    """

    uri: str
    order: int
    size: int
    version: str
    records: int
    accepted: int
    rejected: int
    stem: str
    chunks: tuple[ChunkNote, ...]

    def missing(self) -> Iterator[str]:
        """Images that its records name and that no zip had; perhaps not each once."""
        for note in self.chunks:
            yield from note.missing

    def shard(self) -> Shard:
        """The shard."""
        return Shard(self.uri, self.order, self.size, self.version)


def entry_of(shard: Shard, stem: str, records: int, chunks: Sequence[ChunkNote]) -> ShardEntry:
    """The entry of a shard whose chunks are all written.

    Raises:
        LostRecordError: A record is neither accepted nor rejected, or is both.
    """
    accepted = sum(note.accepted for note in chunks)
    rejected = sum(found.count for note in chunks for found in note.rejected)
    if accepted + rejected != records:
        raise LostRecordError(
            f"{shard.uri}: {records} records in, {accepted} accepted, {rejected} rejected"
        )
    return ShardEntry(
        shard.uri,
        shard.order,
        shard.size,
        shard.version,
        records,
        accepted,
        rejected,
        stem,
        tuple(chunks),
    )


class Generation(msgspec.Struct, frozen=True):
    """One commit; see docs/outputs.md.

    Attributes:
        format: Version of the output's layout.
        generation: Its number, from 1.
        shards: Taken in anew, or again with images that have come.
        sources: Zips that have been listed since the last one.
        parts: Data files.
        rejects: Files of rejected records.
        mixes: How text-only rows are dealt in.
        images: Table of the images that are new or have changed, or None when none has.
        counts: Of the whole dataset, as in the manifest.
        dropped: Uris of shards that are no more in the dataset: a conversion was run without them.
    """

    format: int
    generation: int
    shards: tuple[ShardEntry, ...]
    sources: tuple[Source, ...]
    parts: Changes
    rejects: Changes
    mixes: Mixes
    images: Part | None
    counts: dict[str, Any]
    dropped: tuple[str, ...] = ()


class Contents:
    """What a dataset holds after so many generations.

    Attributes:
        number: Of the last generation; 0 before the first.
        shards: By uri.
        sources: Zips, by uri.
        mixes: By the name of the job.
        counts: Of the last generation.
    """

    def __init__(self) -> None:
        self.number = 0
        self.shards: dict[str, ShardEntry] = {}
        self.sources: dict[str, Source] = {}
        self.mixes: dict[str, MixNote] = {}
        self.counts: dict[str, Any] = {}

    def apply(self, generation: Generation) -> None:
        """Goes on by one generation, or, from none, to a file that stands for all up to it.

        Raises:
            ValueError: It is not the next one.
        """
        if self.number and generation.generation != self.number + 1:
            raise ValueError(f"generation {generation.generation} after {self.number}")
        self.number = generation.generation
        for uri in generation.dropped:
            del self.shards[uri]
        self.shards.update((entry.uri, entry) for entry in generation.shards)
        self.sources.update((source.uri, source) for source in generation.sources)
        for name in generation.mixes.removed:
            del self.mixes[name]
        self.mixes.update((note.job.name, note) for note in generation.mixes.added)
        self.counts = generation.counts

    def ordered_shards(self) -> list[ShardEntry]:
        """As `convert` would take them: pattern by pattern, by uri."""
        return sorted(self.shards.values(), key=lambda entry: (entry.order, entry.uri))

    def parts(self) -> list[Part]:
        """The data files, by path."""
        return live_parts(self.shards.values(), self.mixes.values())

    def rejects(self) -> list[Part]:
        """The files of rejected records, by path."""
        return live_rejects(self.shards.values())

    def next(
        self,
        entries: Iterable[ShardEntry],
        sources: Iterable[Source],
        mixes: dict[str, MixNote],
        images: Part | None,
        counts: dict[str, Any],
        dropped: Sequence[str] = (),
    ) -> Generation:
        """The generation that takes shards in.

        Args:
            entries: Of the shards; one takes the place of an earlier version.
            sources: Zips that are new, or new in this version.
            mixes: All mixes that hold from then on, by name; see `plan_mixes`.
            images: Table of the images that have changed.
            counts: Of the whole dataset then.
            dropped: Uris of shards to be left out from then on.

        Raises:
            LostRecordError: Rows and accepted records do not agree.
        """
        entries = sorted(entries, key=lambda entry: (entry.order, entry.uri))
        shards = self.shards_with(entries, dropped)
        parts = live_parts(shards.values(), mixes.values())
        _hold_rows(parts, sum(entry.accepted for entry in shards.values()))
        return Generation(
            format=FORMAT,
            generation=self.number + 1,
            shards=tuple(entries),
            sources=tuple(sources),
            parts=_changes(self.parts(), parts),
            rejects=_changes(self.rejects(), live_rejects(shards.values())),
            mixes=Mixes(
                tuple(note for name, note in mixes.items() if self.mixes.get(name) != note),
                tuple(name for name, note in self.mixes.items() if mixes.get(name) != note),
            ),
            images=images,
            counts=counts,
            dropped=tuple(dropped),
        )

    def shards_with(
        self, entries: Iterable[ShardEntry], dropped: Sequence[str] = ()
    ) -> dict[str, ShardEntry]:
        """The shards with some of them new, by uri."""
        left_out = set(dropped)
        kept = {uri: entry for uri, entry in self.shards.items() if uri not in left_out}
        return {**kept, **{entry.uri: entry for entry in entries}}

    def whole(self, images: Part | None) -> Generation:
        """One file for all generations so far. `images` is the table of all images."""
        return Generation(
            format=FORMAT,
            generation=self.number,
            shards=tuple(self.ordered_shards()),
            sources=tuple(self.sources.values()),
            parts=Changes(tuple(self.parts())),
            rejects=Changes(tuple(self.rejects())),
            mixes=Mixes(tuple(self.mixes.values())),
            images=images,
            counts=self.counts,
        )


def _changes(before: list[Part], after: list[Part]) -> Changes:
    was, will_be = set(before), set(after)
    return Changes(
        tuple(part for part in after if part not in was),
        tuple(part for part in before if part not in will_be),
    )


def _hold_rows(parts: Iterable[Part], accepted: int) -> None:
    rows: dict[str, int] = {}
    for part in parts:
        rows[part.format] = rows.get(part.format, 0) + part.rows
    for format, count in rows.items():
        if count != accepted:
            raise LostRecordError(f"{accepted} records accepted, {count} rows in {format}")


def live_parts(shards: Iterable[ShardEntry], mixes: Iterable[MixNote]) -> list[Part]:
    """The data files that stand for shards and mixes, by path: parts that were mixed are not."""
    mixes = list(mixes)
    replaced = {path for note in mixes for path in note.replaced}
    parts = [part for note in mixes for part in note.parts]
    parts += [
        part
        for entry in shards
        for note in entry.chunks
        for part in note.parts
        if part.path not in replaced
    ]
    return sorted(parts, key=lambda part: part.path)


def live_rejects(shards: Iterable[ShardEntry]) -> list[Part]:
    """The files of rejected records of shards, by path."""
    found = (note.rejects for entry in shards for note in entry.chunks)
    return sorted((part for part in found if part), key=lambda part: part.path)


def plan_mixes(
    shards: Iterable[ShardEntry], mixes: Iterable[MixNote]
) -> tuple[dict[str, MixNote], list[MixJob]]:
    """How the text-only units of a dataset are dealt in; see `beam_mat.core.mix`.

    Mixes that hold are kept, so that a generation replaces as few files as it can. A text-only unit
    that is in none goes to a unit with images that is in none either; where there are no such, all
    mixes of its split are made anew.

    Args:
        shards: Of the dataset.
        mixes: That it has so far.

    Returns:
        The mixes that are kept, by name, and those that are to be made.
    """
    units = {(unit.split, unit.name): unit for unit in _units(shards)}
    kept = {note.job.name: note for note in mixes if _holds(note.job, units)}
    jobs: list[MixJob] = []
    for split in sorted({split for split, _ in units}):
        here = [unit for unit in units.values() if unit.split == split]
        if any(unit.image_rows for unit in here):
            # What was alone for want of images need not be any more.
            for name in [name for name, note in kept.items() if _is_alone(note, split)]:
                del kept[name]
        used = {unit for note in kept.values() for unit in _inputs(note.job)}
        free = [unit for unit in here if unit not in used]
        if all(unit.image_rows for unit in free):
            continue
        if not any(unit.image_rows for unit in free) and any(unit.image_rows for unit in here):
            for name in [name for name, note in kept.items() if _split(note) == split]:
                del kept[name]
            free = here
        jobs += plan(free)
    return kept, jobs


def _units(shards: Iterable[ShardEntry]) -> Iterator[Unit]:
    for entry in shards:
        for note in entry.chunks:
            yield from note.units


def _inputs(job: MixJob) -> list[Unit]:
    return [*job.texts, *([job.base] if job.base else [])]


def _holds(job: MixJob, units: dict[tuple[str, str], Unit]) -> bool:
    return all(units.get((unit.split, unit.name)) == unit for unit in _inputs(job))


def _split(note: MixNote) -> str:
    return note.job.texts[0].split


def _is_alone(note: MixNote, split: str) -> bool:
    return note.job.base is None and _split(note) == split


def file_name(number: int) -> str:
    """Path of a generation's file below the output folder.

    >>> file_name(42), whole_name(64)
    ('generations/000042.json', 'generations/000064.whole.json')
    >>> table_name(file_name(42))
    'generations/000042.images.parquet'
    """
    return f"{layout.GENERATIONS}/{number:06d}.json"


def whole_name(number: int) -> str:
    """Path of the file that stands for all generations up to one."""
    return f"{layout.GENERATIONS}/{number:06d}.whole.json"


def table_name(path: str) -> str:
    """Path of the table of images that belongs to a generation's file."""
    return f"{path.removesuffix('.json')}.images.parquet"


def last_whole(number: int) -> int:
    """The last number up to `number` that may have a file for all; 0 where there is none.

    >>> last_whole(63), last_whole(64), last_whole(130)
    (0, 64, 128)
    """
    return number - number % WHOLE_EVERY
