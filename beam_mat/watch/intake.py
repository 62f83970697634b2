"""Looks for shards and zips that have arrived, and lets them into the graph."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from beam_mat.core.arrivals import Arrivals, Found
from beam_mat.core.chunk import Shard
from beam_mat.core.generation import Generation
from beam_mat.core.notes import PathFact, Source
from beam_mat.core.settings import Settings
from beam_mat.storage import generations
from beam_mat.transforms.coders import StructCoder
from beam_mat.transforms.step import FileStep
from beam_mat.watch import board, unreadable, wakes
from beam_mat.watch.board import Mark, Status, Stop
from beam_mat.watch.facts import CommitFact, Tick, WatchSettings
from beam_mat.watch.places import listing, look_up, order_of


@beam.typehints.with_input_types(tuple[str, Tick])
@beam.typehints.with_output_types(
    Shard, sources=Source, missed=tuple[str, PathFact], beats=tuple[str, CommitFact]
)
class LetIn(FileStep):
    """Lets in what has arrived, tick by tick, and no more than the graph can take.

    It has one key, and its state says nothing: a stateful step is how an engine is told that the
    ticks are to be dealt with one after the other. What it knows it knows from the log.
    """

    ONE_AT_A_TIME = ReadModifyWriteStateSpec("last", StructCoder(Tick))

    def __init__(self, watch: WatchSettings) -> None:
        super().__init__(watch.settings)
        self._watch = watch

    def process(
        self, element: tuple[str, Tick], last: Any = beam.DoFn.StateParam(ONE_AT_A_TIME)
    ) -> Iterator[Any]:
        """Yields shards, zips, images that the dataset lacks, and the beat of the graph's clock."""
        tick = element[1]
        intake = _intake(self._watch)
        if tick.at is None:
            intake.notice(tick.uri)
            return
        last.write(tick)
        for stem, path in intake.lacking():
            yield TaggedOutput("missed", (path, PathFact(missed_by=stem)))
        for source in intake.sources(tick.at):
            yield TaggedOutput("sources", source)
        yield from intake.shards(tick.at)
        yield TaggedOutput("beats", ("", CommitFact(beat=tick.at, stop=intake.stopping)))
        intake.report(tick.at)


class Intake:
    """What the intake knows. All of it can be found again: in the log, and by looking.

    Attributes:
        stopping: Whether the driver wants the watch to end.
    """

    def __init__(self, watch: WatchSettings) -> None:
        self._watch = watch
        self._settings = watch.settings
        self._contents = generations.load(self._settings.output)
        self._shards = Arrivals()
        self._sources = Arrivals(max_bytes=None)
        for entry in self._contents.shards.values():
            self._shards.know(entry.uri, (entry.size, entry.version))
        self._told_lacking = False
        wakes.give_back(self._settings)
        self._wakes: dict[str, set[str]] = {}
        self._unchanged: dict[str, tuple[int, str, int]] = {}
        self._mark = Mark(watch.run, 0.0, 0, 0)
        self._next_look = 0.0
        self._looked = False
        self._shards_there: dict[str, Found] = {}
        self._sources_there: dict[str, Found] = {}
        self._stopped_at: float | None = None
        self._arriving = 0
        self._unreadable = 0
        self.stopping = False

    def lacking(self) -> Iterator[tuple[str, str]]:
        """Once in a run: images that shards of the dataset lack, each with the shard's stem."""
        if self._told_lacking:
            return
        self._told_lacking = True
        for entry in self._contents.shards.values():
            for path in set(entry.missing()):
                yield entry.stem, path

    def notice(self, uri: str) -> None:
        """Takes in what a notification tells of: that a file has come, has changed, or has gone."""
        for patterns, lying in (
            (self._watch.json, self._shards_there),
            (self._watch.images, self._sources_there),
        ):
            if (order := order_of(uri, patterns)) is not None:
                lying.pop(uri, None)
                if found := look_up(uri, order):
                    lying[uri] = found
                self._next_look = 0.0

    def sources(self, at: float) -> Iterator[Source]:
        """Zips to be listed now. To be called once a tick, and before `shards`."""
        self._listen(at)
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + self._watch.interval
            self._look(now)
        for uri in [uri for uri, one in self._sources.working.items() if one.at < self._mark.at]:
            del self._sources.working[uri]
        for found in self._sources.release(at, self._mark.at, stop=self.stopping):
            yield Source(found.uri, found.order, found.size, found.version)

    def shards(self, at: float) -> Iterator[Shard]:
        """Shards to be worked on now."""
        for found in self._shards.release(at, self._mark.at, stop=self.stopping):
            yield Shard(found.uri, found.order, found.size, found.version)

    def report(self, at: float) -> None:
        """Tells the driver how things stand."""
        working = self._shards.unprocessed(self._mark.at) + len(self._sources.working)
        processed = len(self._shards.working) - self._shards.unprocessed(self._mark.at)
        oldest = self._shards.oldest()
        status = Status(
            run=self._watch.run,
            at=at,
            arriving=self._arriving,
            queued=len(self._shards.queue) + len(self._sources.queue),
            working=working,
            waiting=max(0, processed - self._mark.pending_shards),
            pending=self._mark.pending,
            oldest=None if oldest is None else time.monotonic() - oldest,
            unreadable=self._unreadable,
            generation=self._contents.number,
            # Not before the mark of a time after that: until then something may be on its way.
            stopping=self._stopped_at is not None and self._mark.at > self._stopped_at,
        )
        board.tell(self._watch, status)

    def _listen(self, at: float) -> None:
        self._mark = board.heard(self._watch, Mark) or self._mark
        if not self.stopping and board.heard(self._watch, Stop):
            self.stopping, self._stopped_at = True, at
        for generation in generations.catch_up(self._settings.output, self._contents):
            self._committed(generation)
        for uri, told in self._mark.unchanged.items():
            if self._unchanged.get(uri) != told:
                self._unchanged[uri] = told
                self._shards.know(uri, told[:2])
                self._heeded(uri)

    def _committed(self, generation: Generation) -> None:
        for entry in generation.shards:
            self._shards.know(entry.uri, (entry.size, entry.version))
            self._heeded(entry.uri)

    def _heeded(self, uri: str) -> None:
        if uri in self._shards.queue:
            return  # it is to be worked on once more
        for name in [name for name, uris in self._wakes.items() if uri in uris]:
            self._wakes[name].discard(uri)
            if not self._wakes[name]:
                wakes.remove(self._settings, name)
                del self._wakes[name]

    def _look(self, now: float) -> None:
        if not self._watch.subscription or not self._looked:
            self._shards_there = listing(self._watch.json)
            self._sources_there = listing(self._watch.images)
            self._looked = True
        shards, sources = self._shards_there.values(), self._sources_there.values()
        self._shards.look(shards, now)
        self._sources.look(sources, now)
        self._arriving = self._shards.unsettled(shards) + self._sources.unsettled(sources)
        self._unreadable = unreadable.count(self._settings)
        self._wake(now)

    def _wake(self, now: float) -> None:
        entries = self._contents.shards.values()
        woken = wakes.find(self._settings)
        means = wakes.shards_of(self._settings, woken, entries)
        for name, wake in woken.items():
            again = []
            for entry in means[name]:
                # Of a shard that lies there no more nothing can be read again.
                found = self._shards_there.get(entry.uri)
                if found and found.content == (entry.size, entry.version):
                    again.append(found)
            if not again and not wake.path and not self._is_over(wake):
                continue
            wakes.take_up(self._settings, name)
            for found in again:
                self._shards.again(found, now)
            self._wakes.setdefault(name, set()).update(found.uri for found in again)
            if not self._wakes[name]:
                wakes.remove(self._settings, name)
                del self._wakes[name]

    def _is_over(self, wake: wakes.Wake) -> bool:
        """Whether a shard is neither in the dataset nor on its way there."""
        working = self._shards.working.values()
        stems = {_stem(one.found, self._settings) for one in working}
        return wake.stem not in stems


def _stem(found: Found, settings: Settings) -> str:
    shard = Shard(found.uri, found.order, found.size, found.version)
    return shard.stem(settings.digest())


@functools.cache
def _intake(watch: WatchSettings) -> Intake:
    """One a process: an engine may make the step anew at any time."""
    return Intake(watch)
