"""Settings of a watch, and what its steps send each other: elements of the graph, and small files.

A later step cannot send an element to the intake. So the commit step writes the watermark to a
file in the work folder, and the joins write requests to reprocess shards. The intake writes its
status for the driver, and the driver writes a request to stop. See also `core.results`.
"""

import hashlib
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import SourceError
from beam_mat.core.location import Location
from beam_mat.core.member import Member
from beam_mat.core.results import ImageOutcome, Source, Written
from beam_mat.core.settings import Settings
from beam_mat.storage import files
from beam_mat.work import results

T = TypeVar("T", "Watermark", "Status", "Stop")


class WatchSettings(msgspec.Struct, frozen=True):
    """Settings of the steps of a watch. Times are in seconds.

    Attributes:
        settings: Settings of the steps that a conversion also has.
        json, images: Where shards and image sources arrive.
        interval: Time between two listings.
        window: Length of a window. The work of a window is committed as one generation.
        image_wait: How long a record waits for its images.
        keep: How many generations are kept, or None for all.
        subscription: Pub/Sub subscription that is used instead of listings, or "".
        run: A unique id of this run, so that messages of other runs are ignored.
    """

    settings: Settings
    json: tuple[Location, ...]
    images: tuple[Location, ...]
    interval: float
    window: float
    image_wait: float
    keep: int | None = None
    subscription: str = ""
    run: str = ""

    @property
    def tick(self) -> float:
        """Seconds between two ticks of the graph's clock."""
        return min(1.0, self.interval, self.window)


class Tick(msgspec.Struct, frozen=True, array_like=True):
    """A tick at a time (seconds since the epoch), or a notification about the file at a URI."""

    at: float | None
    uri: str = ""


class ChunkProgress(msgspec.Struct, frozen=True, array_like=True):
    """The images of a chunk that are known so far.

    `chunk` is None while it is unknown; it requests as many images as `requested`. `tables` are the
    image results that have the rows of the known `outcomes`.
    """

    chunk: Chunk | None = None
    requested: int = 0
    outcomes: tuple[ImageOutcome, ...] = ()
    tables: tuple[str, ...] = ()


class ShardFact(msgspec.Struct, frozen=True, array_like=True):
    """What is known about a shard: its number of chunks, and those that are written.

    `shard` is None until it has been split. `gone` is whether it has changed, was deleted or is no
    shard at all, so that this version is not committed.
    """

    shard: Shard | None = None
    chunks: int = 0
    written: tuple[Written, ...] = ()
    gone: bool = False


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """The name of a chunk that waits for an image, and the end of its wait.

    `until` is in milliseconds since the epoch, which is the precision of Beam's timers.
    """

    chunk: str
    until: int


class KnownPath(msgspec.Struct, frozen=True, array_like=True):
    """What is known about an image path.

    Attributes:
        member: The member with this path, from the source with the highest precedence. If there is
            none, it is a member with another spelling of the path.
        asked: Whether that member has been requested.
        waiting: Chunks that wait for the image.
        missed_by: Stems of shards that are or will be in the dataset without it.
        ambiguous: Whether members with different other spellings have arrived, and none with this
            path, so that none of them is used.
    """

    member: Member | None = None
    asked: bool = False
    waiting: tuple[Waiting, ...] = ()
    missed_by: tuple[str, ...] = ()
    ambiguous: bool = False


class CommitFact(msgspec.Struct, frozen=True, array_like=True):
    """One input of the commit step. Exactly one of the first four is set.

    Attributes:
        summary: Name of the summary of a finished shard.
        source: A zip that has been listed.
        gone: A shard that changed while it was converted, or is none; its files are removed.
        tick: The time of a tick.
        stop: Whether to commit at once, because the watch ends.
    """

    summary: str = ""
    source: Source | None = None
    gone: Shard | None = None
    tick: float | None = None
    stop: bool = False


STRUCTS = (Tick, ChunkProgress, ShardFact, KnownPath, CommitFact)
"""Types that travel between steps or are kept in their states."""


class Watermark(msgspec.Struct, frozen=True):
    """How far the graph has come, from the commit step to the intake.

    Everything that was let in before `at` has been processed or waits for images. `pending` shards
    and zips, of which `pending_shards` are shards, wait for the end of their window. `unchanged` is
    that of `watch.commit.Committer`.
    """

    run: str
    at: float
    pending: int
    pending_shards: int
    unchanged: dict[str, tuple[int, str, int]] = {}


class Status(msgspec.Struct, frozen=True):
    """The status of a watch `at` a time of the graph's clock, from the intake to the driver.

    The whole numbers count files; `watch.monitor` says which. `oldest` is the number of seconds
    since the oldest uncommitted shard was first seen, or None. `stopping` is whether the intake has
    stopped, and the watermark has passed that time.
    """

    run: str
    at: float
    arriving: int
    queued: int
    working: int
    waiting: int
    pending: int
    oldest: float | None
    unreadable: int
    stopping: bool

    @property
    def drained(self) -> bool:
        """Whether all work is committed, except for shards that wait for images."""
        return self.stopping and not self.working and not self.pending

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do and nothing to wait for."""
        waits = self.arriving + self.queued + self.working + self.waiting + self.pending
        return not waits


class Stop(msgspec.Struct, frozen=True):
    """The request to stop, from the driver to the intake."""

    run: str


_NAMES: dict[type[msgspec.Struct], str] = {Watermark: "mark", Status: "status", Stop: "stop"}


def send(watch: WatchSettings, message: Watermark | Status | Stop) -> None:
    """Writes a message. It replaces the last one of its type."""
    results.write(watch.settings, layout.WATCH, _NAMES[type(message)], message)


def receive(watch: WatchSettings, kind: type[T]) -> T | None:
    """Returns the last message of this run, or None."""
    try:
        message = results.find(watch.settings, layout.WATCH, _NAMES[kind], kind)
    except SourceError:
        return None  # a store may show the file while it is replaced
    return message if message and message.run == watch.run else None


class Reprocess(msgspec.Struct, frozen=True):
    """A request to process committed shards again, because an image has arrived or changed.

    It is for the shard with a stem, or for all shards that use an image path.
    """

    stem: str
    path: str = ""


_REQUESTS = f"{layout.WATCH}/wakes"
_TAKEN_UP = f"{layout.WATCH}/taken_up"
"""Requests whose shards were let in. A later request for the same shards counts as new."""


def request_reprocessing(settings: Settings, stem: str, path: str = "") -> None:
    """Writes a request. Writing the same request twice has no further effect."""
    results.write(settings, _REQUESTS, stem or _digest(path), Reprocess(stem, path))


def reprocess_requests(settings: Settings) -> dict[str, Reprocess]:
    """Returns the requests that have not been taken up, by name."""
    found = results.collect(settings, _REQUESTS, Reprocess)
    return {request.stem or _digest(request.path): request for request in found}


def take_up(settings: Settings, name: str) -> None:
    """Marks a request as taken up. Must be called before its shards are let in."""
    files.move(results.place(settings, _REQUESTS, name), results.place(settings, _TAKEN_UP, name))


def restore_taken_up(settings: Settings) -> None:
    """Restores the requests that an earlier run took up and did not complete."""
    for name, file in files.find(files.join(settings.output, _TAKEN_UP)):
        files.move(file.uri, files.join(settings.output, _REQUESTS, name))


def remove_taken_up(settings: Settings, name: str) -> None:
    """Deletes a request once its shards have been committed."""
    files.remove_file(results.place(settings, _TAKEN_UP, name))


UNREADABLE = f"{layout.WATCH}/unreadable"
"""One text file for each zip and shard that cannot be read, with the reason."""


def record_fault(settings: Settings, place: Source | Shard, fault: str | None) -> None:
    """Records why a zip or shard cannot be read. None removes the record: now it can be."""
    uri = files.join(settings.output, UNREADABLE, f"{_digest(place.uri)}.txt")
    if fault is not None:
        scratch = files.join(settings.output, layout.SCRATCH)
        files.write_bytes(uri, fault.encode("utf-8", "backslashreplace"), scratch)
    else:
        files.remove_file(uri)


def count_unreadable(settings: Settings, uris: Iterable[str]) -> int:
    """Returns how many of the zips and shards that exist cannot be read."""
    found = {name for name, _ in files.find(files.join(settings.output, UNREADABLE))}
    return sum(f"{_digest(uri)}.txt" in found for uri in uris) if found else 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
