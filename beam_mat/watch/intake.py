"""Lets shards and zips that have arrived into the graph; also decodes notifications of files."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from beam_mat.core.chunk import Shard
from beam_mat.core.errors import SourceError
from beam_mat.core.results import PathFact, ShardSummary, Source
from beam_mat.core.settings import Settings
from beam_mat.dataset import log
from beam_mat.transforms.shuffle import StructCoder
from beam_mat.watch import messages
from beam_mat.watch.arrivals import Arrivals
from beam_mat.watch.joins import WatchStep
from beam_mat.watch.messages import (
    CommitFact,
    Reprocess,
    Status,
    Stop,
    Tick,
    WatchSettings,
    Watermark,
)
from beam_mat.work import chunks


@beam.typehints.with_input_types(tuple[str, Tick])
@beam.typehints.with_output_types(
    Shard, sources=Source, missed=tuple[str, PathFact], ticks=tuple[str, CommitFact]
)
class LetIn(WatchStep):
    """Lets new files into the graph at each tick, within the limits of `watch.arrivals`.

    All ticks have the same key and the step has a state, so that the runner processes them one
    after another. The content of the state is not used: the intake reads everything from the log.
    """

    ONE_AT_A_TIME = ReadModifyWriteStateSpec("last", StructCoder(Tick))

    def process(
        self, element: tuple[str, Tick], last: Any = beam.DoFn.StateParam(ONE_AT_A_TIME)
    ) -> Iterator[Any]:
        tick = element[1]
        intake = _intake(self._watch)
        if tick.at is None:
            intake.notice(tick.uri)
        else:
            last.write(tick)
            yield from intake.tick(tick.at)


class Intake:
    """The state of the intake. It can be restored from the log and a listing of the inputs.

    `stopping` is whether the driver has asked for the watch to end.
    """

    def __init__(self, watch: WatchSettings) -> None:
        self._watch = watch
        self._settings = watch.settings
        self._snapshot = log.snapshot(self._settings.output)
        self._shards = Arrivals(Shard, watch.json)
        self._sources = Arrivals(Source, watch.images, max_bytes=None)
        for entry in self._snapshot.shards.values():
            self._shards.mark_done(entry.uri, entry.content)
        self._lacking = [
            (path, PathFact(missed_by=entry.stem))
            for entry in self._snapshot.shards.values()
            for path in entry.missing
        ]
        messages.restore_taken_up(self._settings)
        self._open_requests: dict[str, set[str]] = {}
        self._mark = Watermark(watch.run, 0.0, 0, 0)
        self._next_listing = 0.0
        self._has_scanned = False
        self._stopped_at: float | None = None
        self._arriving = 0
        self._unreadable = 0
        self.stopping = False

    def notice(self, uri: str) -> None:
        """Handles a notification that a file was created, changed or deleted."""
        if any([self._shards.notice(uri), self._sources.notice(uri)]):
            self._next_listing = 0.0

    def tick(self, at: float) -> Iterator[Any]:
        """Yields shards, zips, the images that the dataset lacks (once in a run), and the tick."""
        self._receive(at)
        now = time.monotonic()
        if now >= self._next_listing:
            self._next_listing = now + self._watch.interval
            self._list(now)
        lacking, self._lacking = self._lacking, []
        for fact in lacking:
            yield TaggedOutput("missed", fact)
        if not self.stopping:
            for source in self._sources.release(at, self._mark.at):
                yield TaggedOutput("sources", source)
            yield from self._shards.release(at, self._mark.at)
        yield TaggedOutput("ticks", ("", CommitFact(tick=at, stop=self.stopping)))
        self._report(at)

    def _report(self, at: float) -> None:
        unprocessed = self._shards.unprocessed(self._mark.at)
        oldest = self._shards.oldest()
        status = Status(
            run=self._watch.run,
            at=at,
            arriving=self._arriving,
            queued=len(self._shards.queue) + len(self._sources.queue),
            working=unprocessed + self._sources.unprocessed(self._mark.at),
            waiting=max(0, len(self._shards.working) - unprocessed - self._mark.pending_shards),
            pending=self._mark.pending,
            oldest=None if oldest is None else time.monotonic() - oldest,
            unreadable=self._unreadable,
            # Until the watermark has passed the stop, elements may still be on their way.
            stopping=self._stopped_at is not None and self._mark.at > self._stopped_at,
        )
        messages.send(self._watch, status)

    def _receive(self, at: float) -> None:
        before, self._mark = self._mark, messages.receive(self._watch, Watermark) or self._mark
        if not self.stopping and messages.receive(self._watch, Stop):
            self.stopping, self._stopped_at = True, at
        for commit in log.catch_up(self._settings.output, self._snapshot):
            for entry in commit.shards.added:
                self._finish(entry.uri, entry.content)
        for uri, state in self._mark.unchanged.items() - before.unchanged.items():
            self._finish(uri, state[:2])

    def _finish(self, uri: str, content: tuple[int, str]) -> None:
        """Handles that a version of a shard is in the dataset."""
        self._shards.mark_done(uri, content)
        if uri not in self._shards.queue:  # otherwise it will be converted once more
            for uris in self._open_requests.values():
                uris.discard(uri)
            self._remove_completed_requests()

    def _remove_completed_requests(self) -> None:
        for name in [name for name, uris in self._open_requests.items() if not uris]:
            messages.remove_taken_up(self._settings, name)
            del self._open_requests[name]

    def _list(self, now: float) -> None:
        if not self._watch.subscription or not self._has_scanned:
            self._shards.scan()
            self._sources.scan()
            self._has_scanned = True
        self._shards.update(now)
        self._sources.update(now)
        self._arriving = self._shards.unsettled() + self._sources.unsettled()
        listed = (*self._shards.listed, *self._sources.listed)
        self._unreadable = messages.count_unreadable(self._settings, listed)
        self._take_up_requests(now)

    def _take_up_requests(self, now: float) -> None:
        requests = messages.reprocess_requests(self._settings)
        listed = self._shards.listed
        # A deleted shard cannot be read again, and a changed one is converted anyway.
        present = [
            entry
            for entry in self._snapshot.shards.values()
            if (found := listed.get(entry.uri)) and found.content == entry.content
        ]
        entries = _requested_shards(self._settings, requests, present)
        digest = self._settings.digest()
        in_progress = {one.file.stem(digest) for one in self._shards.working.values()}
        for name, request in requests.items():
            again = [listed[entry.uri] for entry in entries[name]]
            if not again and request.stem in in_progress:
                continue
            messages.take_up(self._settings, name)
            for shard in again:
                self._shards.requeue(shard, now)
            self._open_requests.setdefault(name, set()).update(shard.uri for shard in again)
        self._remove_completed_requests()


def _requested_shards(
    settings: Settings, requests: Mapping[str, Reprocess], entries: Iterable[ShardSummary]
) -> dict[str, list[ShardSummary]]:
    """Returns which of the shards each request is for.

    To find the shards that use an image, the work results of all chunks are read, once for all
    requests. This is rare: a zip must contain another picture for a path that is in use.
    """
    by_stem = {request.stem: name for name, request in requests.items() if request.stem}
    by_path = {request.path: name for name, request in requests.items() if request.path}
    found: dict[str, list[ShardSummary]] = {name: [] for name in requests}
    for entry in entries:
        if entry.stem in by_stem:
            found[by_stem[entry.stem]].append(entry)
        if by_path:
            # A shard that has changed since it was listed is converted anyway.
            with contextlib.suppress(SourceError, FileNotFoundError):
                for path in chunks.image_paths(settings, entry.shard) & by_path.keys():
                    found[by_path[path]].append(entry)
    return found


_intake = functools.cache(Intake)
"""Returns the one intake of this process. A runner may recreate the step at any time."""


_EVENTS = ("OBJECT_FINALIZE", "OBJECT_DELETE", "OBJECT_ARCHIVE")
"""Events that change the content of an object. A change of metadata is ignored."""


@beam.typehints.with_output_types(tuple[str, Tick])
class DecodeNotifications(beam.DoFn):
    """Yields the URI of the object that a message is about, if it is about one."""

    def process(self, message: Any) -> Iterator[tuple[str, Tick]]:
        uri = object_of(message.attributes or {}, message.data or b"")
        if uri:
            yield "", Tick(None, uri)


class _Object(msgspec.Struct):
    bucket: str = ""
    name: str = ""


def object_of(attributes: Mapping[str, str], body: bytes) -> str | None:
    """Returns the URI of the object that a notification is about, or None.

    Messages arrive twice, late and out of order. They say where to look, not what is there.
    Source: Cloud Storage's documentation of Pub/Sub notifications. The event and the name are
    attributes; with the payload format JSON_API_V1 the body is the object's metadata.

    >>> object_of({"eventType": "OBJECT_FINALIZE", "bucketId": "b", "objectId": "in/a.json"}, b"")
    'gs://b/in/a.json'
    >>> object_of({"eventType": "OBJECT_METADATA_UPDATE", "bucketId": "b", "objectId": "a"}, b"")
    """
    if attributes.get("eventType", _EVENTS[0]) not in _EVENTS:
        return None
    bucket, name = attributes.get("bucketId", ""), attributes.get("objectId", "")
    if not (bucket and name):
        try:
            found = msgspec.json.decode(body, type=_Object)
        except (msgspec.DecodeError, RecursionError):
            return None
        bucket, name = found.bucket, found.name
    return f"gs://{bucket}/{name}" if bucket and name else None
