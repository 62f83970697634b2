"""Writes generations: what is finished goes into the log, and the dataset's files follow the log.

The log decides. What a killed run has left half done after a generation is done again from it, and
what is committed already is not committed again, whoever asks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

import msgspec

from beam_mat import publish
from beam_mat.config import Job
from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError, LostRecordError
from beam_mat.core.generation import (
    WHOLE_EVERY,
    Generation,
    ShardEntry,
    entry_of,
    file_name,
    live_parts,
    live_rejects,
    plan_mixes,
    table_name,
)
from beam_mat.core.notes import ChunkNote, MixJob, MixNote, Part, ShardNote, Source
from beam_mat.core.settings import Settings
from beam_mat.ledger import cleaning
from beam_mat.ledger.adding import totals_of
from beam_mat.ledger.pictures import Pictures, image_totals
from beam_mat.storage import files, generations, inputs, mixing, notes, parts

_LOG = logging.getLogger(__name__)


class Ledger:
    """The log of one dataset, and the right to go on with it.

    Attributes:
        settings: The settings.
        contents: What is in the dataset.
        unchanged: Shards that were worked on again to no other end, by uri: size, version, and
            what tells one time from the next.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._output = settings.output
        self.contents = generations.load(self._output)
        self._pictures = Pictures(
            settings, generations.image_table(self._output, self.contents.number)
        )
        self._gone: dict[str, int] = {}
        self._listed_zips: dict[str, Source] = {}
        self.unchanged: dict[str, tuple[int, str, int]] = {}

    def commit(
        self, shards: Sequence[Shard], sources: Sequence[Source], gone: Sequence[Shard] = ()
    ) -> Generation | None:
        """Commits what is finished, as one generation.

        Args:
            shards: All of whose chunks are written.
            sources: Zips that have been listed.
            gone: Shards that have changed on the way: what was written of them is removed.

        Returns:
            The generation; None where there was nothing that is not in the dataset already.
        """
        digest = self.settings.digest()
        self._gone.update((shard.stem(digest), cleaning.ROUNDS) for shard in gone)
        self._listed_zips.update((source.uri, source) for source in sources)
        made = None
        while made is None:
            # A run that was killed may have had a commit on its way.
            if list(generations.catch_up(self._output, self.contents)):
                table = generations.image_table(self._output, self.contents.number)
                self._pictures = Pictures(self.settings, table)
            entries = self._entries(shards)
            zips = self._zips()
            # Without a shard there is nothing yet that anybody could train on.
            if not entries and not (zips and self.contents.shards):
                break
            made = self._try(entries, zips)
        self._gone = cleaning.clean(self.settings, self._gone, self.known())
        return made

    def _entries(self, shards: Sequence[Shard]) -> list[ShardEntry]:
        entries = []
        for shard in {shard.uri: shard for shard in shards}.values():
            if said := inputs.change(shard):
                _LOG.warning("%s; nothing of that version is taken", said)
                self._gone[shard.stem(self.settings.digest())] = cleaning.ROUNDS
                continue
            entry = self.entry(shard)
            if self.contents.shards.get(shard.uri) == entry:
                self.unchanged[shard.uri] = (shard.size, shard.version, time.time_ns())
                # Its parts that are mixed into others were put aside, and have been written again.
                self._put_aside(_chunk_parts([entry]))
            else:
                entries.append(entry)
        return entries

    def entry(self, shard: Shard) -> ShardEntry:
        """A shard whose chunks are written, from the notes that are there.

        Raises:
            LostRecordError: A note is missing, or a record is.
        """
        stem = shard.stem(self.settings.digest())
        try:
            (split,) = notes.read(self.settings, layout.SHARD_NOTES, [stem], ShardNote)
            names = [chunk.name for chunk in split.chunks]
            found = list(notes.read(self.settings, layout.CHUNK_NOTES, names, ChunkNote))
        except FileNotFoundError as error:
            raise LostRecordError(f"{shard.uri}: is said to be written; no {error}") from error
        return entry_of(shard, stem, split.records, found)

    def _zips(self) -> list[Source]:
        there = self.contents.sources
        return [one for one in self._listed_zips.values() if there.get(one.uri) != one]

    def _try(self, entries: list[ShardEntry], sources: list[Source]) -> Generation | None:
        shards = self.contents.shards_with(entries)
        kept, jobs = plan_mixes(shards.values(), self.contents.mixes.values())
        mixes = {**kept, **{job.name: self._mix(job) for job in jobs}}
        return self.write(entries, sources, mixes)

    def write(
        self,
        entries: Sequence[ShardEntry],
        sources: Sequence[Source],
        mixes: dict[str, MixNote],
        dropped: Sequence[str] = (),
        image_table: Part | None = None,
    ) -> Generation | None:
        """Writes the next generation, and has the dataset follow.

        Returns:
            The generation; None where somebody else has written one of this number.
        """
        shards = self.contents.shards_with(entries, dropped)
        newer = self._pictures.newer()
        table = self._pictures.table_with(newer)
        path = table_name(file_name(self.contents.number + 1))
        delta = generations.write_table(self._output, path, newer) if newer.num_rows else None
        totals = totals_of(
            shards.values(),
            live_parts(shards.values(), mixes.values()),
            live_rejects(shards.values()),
            image_totals(table, _NO_TABLE),
        )
        counts = publish.counts_of(totals)
        generation = self.contents.next(entries, sources, mixes, delta, counts, dropped)
        if not generations.write(self._output, generation):
            return None
        self.contents.apply(generation)
        self._pictures.table = table
        self.follow([generation], image_table)
        return generation

    def adopt(
        self,
        entries: Sequence[ShardEntry],
        sources: Sequence[Source],
        mixes: dict[str, MixNote],
        image_table: Part,
    ) -> Generation | None:
        """Takes over all that a conversion has made, its table of images too; as `write`."""
        there = {entry.uri for entry in entries}
        dropped = [uri for uri in self.contents.shards if uri not in there]
        self._pictures.adopt(self._output)
        return self.write(entries, sources, mixes, dropped, image_table)

    def follow(self, made: Iterable[Generation], image_table: Part | None = None) -> None:
        """Makes the dataset's files say what the log says.

        Args:
            made: The generations that they may not have followed yet.
            image_table: `images.parquet`, where it is right as it is.
        """
        made = list(made)
        live = self.listed()
        for generation in made:
            # A part that was mixed with others, and now stands alone again.
            back = [part.path for part in generation.parts.added if part.path in live]
            generations.restore(self._output, set(back) - _written(generation))
        self._publish(image_table)
        self._put_aside(_replaced_by(made))
        if self.contents.number % WHOLE_EVERY == 0 and self.contents.number:
            generations.write_whole(self._output, self.contents, self._pictures.table)

    def settle(self, told: int) -> None:
        """Does what a run that was killed after a generation has left undone.

        Args:
            told: The generation that the manifest tells of, 0 where there is none.

        Raises:
            ConfigError: It is not in the log, or a file of the dataset is lost.
        """
        number = self.contents.number
        if told > number:
            raise ConfigError(
                [
                    f"{files.join(self._output, layout.GENERATIONS)}: ends with generation "
                    f"{number}, and {layout.MANIFEST} tells of {told}; bring the files that are "
                    "missing back, or name another folder"
                ]
            )
        there = cleaning.bring_back(self.settings, self.listed())
        if told < number:
            self.follow(self._since(told + 1))
        else:
            # What a generation replaces goes last, when the manifest is written.
            self._put_aside(_replaced_by(self._since(number)) & there)

    def _since(self, first: int) -> list[Generation]:
        numbers = range(max(1, first), self.contents.number + 1)
        found = (generations.read(self._output, file_name(number)) for number in numbers)
        return [generation for generation in found if generation]

    def _put_aside(self, paths: set[str]) -> None:
        """Moves files, as far as they are not in the dataset, to where readers do not look."""
        gone = (path for path in paths - self.listed() if not path.startswith(layout.TEXT_ONLY))
        generations.retire(self._output, gone)

    def listed(self) -> set[str]:
        """Paths of the data files and rejects that are in the dataset."""
        return {part.path for part in (*self.contents.parts(), *self.contents.rejects())}

    def known(self) -> set[str]:
        """The same, and the parts that were mixed into others: they may be asked for again."""
        return self.listed() | _chunk_parts(self.contents.shards.values())

    def _mix(self, job: MixJob) -> MixNote:
        # A base that was mixed before has been put aside.
        names = [(job.base, False)] if job.base else []
        names += [(text, True) for text in job.texts]
        generations.restore(
            self._output,
            (
                parts.place(format, unit, aside=aside)
                for unit, aside in names
                for format in self.settings.formats
            ),
        )
        return mixing.mix(self.settings, job)

    def _publish(self, part: Part | None) -> None:
        table = self._pictures.table
        part = part or generations.write_table(self._output, layout.IMAGE_TABLE, table)
        totals = totals_of(
            self.contents.shards.values(),
            self.contents.parts(),
            self.contents.rejects(),
            image_totals(table, part),
        )
        publish.follow(self.job(), totals, self.contents.number)

    def job(self) -> Job:
        """The conversion that would give the same dataset."""
        entries = self.contents.ordered_shards()
        sources = sorted(self.contents.sources.values(), key=lambda one: (one.order, one.uri))
        return Job(
            shards=tuple(
                msgspec.structs.replace(entry.shard(), order=order)
                for order, entry in enumerate(entries)
            ),
            sources=tuple(
                msgspec.structs.replace(source, order=order) for order, source in enumerate(sources)
            ),
            settings=self.settings,
            limit=None,
            max_rejected=None,
            runner="",
        )


def _chunk_parts(entries: Iterable[ShardEntry]) -> set[str]:
    """Part files of the chunks of shards, whether they are mixed into others or not."""
    return {part.path for entry in entries for note in entry.chunks for part in note.parts}


def _replaced_by(made: Iterable[Generation]) -> set[str]:
    """Files that generations have replaced, and parts of their chunks, which may be mixed ones."""
    gone: set[str] = set()
    for generation in made:
        gone |= {part.path for part in (*generation.parts.removed, *generation.rejects.removed)}
        gone |= {path for note in generation.mixes.added for path in note.replaced}
        gone |= _chunk_parts(generation.shards)
    return gone


def _written(generation: Generation) -> set[str]:
    """Part files that were written for a generation."""
    mixed = {part.path for note in generation.mixes.added for part in note.parts}
    return _chunk_parts(generation.shards) | mixed


_NO_TABLE = Part("", "", "", 0, 0, 0, "")
