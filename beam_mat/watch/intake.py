"""Finds shards and zips that have arrived, and lets them into the graph."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from beam_mat.core.chunk import Shard
from beam_mat.core.references import PathFact, Source
from beam_mat.core.settings import Settings
from beam_mat.dataset import log
from beam_mat.dataset.commit import Commit
from beam_mat.transforms.coders import StructCoder
from beam_mat.transforms.step import FileStep
from beam_mat.watch import reprocess, signals, unreadable
from beam_mat.watch.arrivals import Arrivals, Found
from beam_mat.watch.elements import CommitFact, Tick, WatchSettings
from beam_mat.watch.patterns import listing, look_up, order_of
from beam_mat.watch.signals import Mark, Status, Stop


@beam.typehints.with_input_types(tuple[str, Tick])
@beam.typehints.with_output_types(
    Shard, sources=Source, missed=tuple[str, PathFact], beats=tuple[str, CommitFact]
)
class LetIn(FileStep):
    """Lets new files into the graph at each tick, within the limits of `watch.arrivals`.

    All ticks have the same key and the step has a state, so that the runner processes them one
    after another. The content of the state is not used: the intake reads everything from the log.
    """

    ONE_AT_A_TIME = ReadModifyWriteStateSpec("last", StructCoder(Tick))

    def __init__(self, watch: WatchSettings) -> None:
        super().__init__(watch.settings)
        self._watch = watch

    def process(
        self, element: tuple[str, Tick], last: Any = beam.DoFn.StateParam(ONE_AT_A_TIME)
    ) -> Iterator[Any]:
        """Yields shards, zips, images that the dataset lacks, and the time of the tick."""
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
    """The state of the intake. It can be restored from the log and a listing of the inputs.

    Attributes:
        stopping: Whether the driver has asked for the watch to end.
    """

    def __init__(self, watch: WatchSettings) -> None:
        self._watch = watch
        self._settings = watch.settings
        self._snapshot = log.snapshot(self._settings.output)
        self._shards = Arrivals()
        self._sources = Arrivals(max_bytes=None)
        for entry in self._snapshot.shards.values():
            self._shards.know(entry.uri, (entry.size, entry.version))
        self._lacking_sent = False
        reprocess.give_back(self._settings)
        self._open_requests: dict[str, set[str]] = {}
        self._unchanged: dict[str, tuple[int, str, int]] = {}
        self._mark = Mark(watch.run, 0.0, 0, 0)
        self._next_listing = 0.0
        self._has_listed = False
        self._listed_shards: dict[str, Found] = {}
        self._listed_sources: dict[str, Found] = {}
        self._stopped_at: float | None = None
        self._arriving = 0
        self._unreadable = 0
        self.stopping = False

    def lacking(self) -> Iterator[tuple[str, str]]:
        """Yields stem and image path of all images that the dataset lacks; only once in a run."""
        if self._lacking_sent:
            return
        self._lacking_sent = True
        for entry in self._snapshot.shards.values():
            for path in entry.missing:
                yield entry.stem, path

    def notice(self, uri: str) -> None:
        """Handles a notification that a file was created, changed or deleted."""
        for patterns, listed in (
            (self._watch.json, self._listed_shards),
            (self._watch.images, self._listed_sources),
        ):
            if (order := order_of(uri, patterns)) is not None:
                listed.pop(uri, None)
                if found := look_up(uri, order):
                    listed[uri] = found
                self._next_listing = 0.0

    def sources(self, at: float) -> Iterator[Source]:
        """Yields zips to list now. Must be called once at each tick, before `shards`."""
        self._receive(at)
        now = time.monotonic()
        if now >= self._next_listing:
            self._next_listing = now + self._watch.interval
            self._list(now)
        for uri in [uri for uri, one in self._sources.working.items() if one.at < self._mark.at]:
            del self._sources.working[uri]
        for found in self._sources.release(at, self._mark.at, stop=self.stopping):
            yield Source(found.uri, found.order, found.size, found.version)

    def shards(self, at: float) -> Iterator[Shard]:
        """Yields shards to convert now."""
        for found in self._shards.release(at, self._mark.at, stop=self.stopping):
            yield Shard(found.uri, found.order, found.size, found.version)

    def report(self, at: float) -> None:
        """Sends the status to the driver."""
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
            generation=self._snapshot.number,
            # Until the watermark has passed the stop, elements may still be on their way.
            stopping=self._stopped_at is not None and self._mark.at > self._stopped_at,
        )
        signals.tell(self._watch, status)

    def _receive(self, at: float) -> None:
        self._mark = signals.heard(self._watch, Mark) or self._mark
        if not self.stopping and signals.heard(self._watch, Stop):
            self.stopping, self._stopped_at = True, at
        for commit in log.catch_up(self._settings.output, self._snapshot):
            self._note_commit(commit)
        for uri, state in self._mark.unchanged.items():
            if self._unchanged.get(uri) != state:
                self._unchanged[uri] = state
                self._shards.know(uri, state[:2])
                self._complete_requests(uri)

    def _note_commit(self, commit: Commit) -> None:
        for entry in commit.shards.added:
            self._shards.know(entry.uri, (entry.size, entry.version))
            self._complete_requests(entry.uri)

    def _complete_requests(self, uri: str) -> None:
        if uri in self._shards.queue:
            return  # it will be converted once more
        for name in [name for name, uris in self._open_requests.items() if uri in uris]:
            self._open_requests[name].discard(uri)
            if not self._open_requests[name]:
                reprocess.remove(self._settings, name)
                del self._open_requests[name]

    def _list(self, now: float) -> None:
        if not self._watch.subscription or not self._has_listed:
            self._listed_shards = listing(self._watch.json)
            self._listed_sources = listing(self._watch.images)
            self._has_listed = True
        shards, sources = self._listed_shards.values(), self._listed_sources.values()
        self._shards.look(shards, now)
        self._sources.look(sources, now)
        self._arriving = self._shards.unsettled(shards) + self._sources.unsettled(sources)
        self._unreadable = unreadable.count(self._settings)
        self._reprocess(now)

    def _reprocess(self, now: float) -> None:
        entries = self._snapshot.shards.values()
        requests = reprocess.find(self._settings)
        affected = reprocess.shards_of(self._settings, requests, entries)
        for name, request in requests.items():
            again = []
            for entry in affected[name]:
                # A deleted shard cannot be read again.
                found = self._listed_shards.get(entry.uri)
                if found and found.content == (entry.size, entry.version):
                    again.append(found)
            if not again and not request.path and not self._is_unneeded(request):
                continue
            reprocess.take_up(self._settings, name)
            for found in again:
                self._shards.again(found, now)
            self._open_requests.setdefault(name, set()).update(found.uri for found in again)
            if not self._open_requests[name]:
                reprocess.remove(self._settings, name)
                del self._open_requests[name]

    def _is_unneeded(self, request: reprocess.Wake) -> bool:
        """Returns whether no conversion of the requested shard is under way."""
        working = self._shards.working.values()
        stems = {_stem(one.found, self._settings) for one in working}
        return request.stem not in stems


def _stem(found: Found, settings: Settings) -> str:
    shard = Shard(found.uri, found.order, found.size, found.version)
    return shard.stem(settings.digest())


@functools.cache
def _intake(watch: WatchSettings) -> Intake:
    """Returns the one intake of this process: a runner may recreate the step at any time."""
    return Intake(watch)
