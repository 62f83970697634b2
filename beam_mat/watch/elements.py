"""Settings of a watch, and the elements that only its graph has; see also `core.results`."""

from __future__ import annotations

import msgspec

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.member import Member
from beam_mat.core.results import ImageOutcome, Source, Written
from beam_mat.core.settings import Settings


class WatchSettings(msgspec.Struct, frozen=True):
    """Settings of the steps of a watch. Times are in seconds.

    Attributes:
        settings: Settings of the steps that a conversion also has.
        json, images: Names and globs of the shards and zips.
        interval: Time between two listings.
        window: Length of a window. The work of a window is committed as one generation.
        image_wait: How long a record waits for its images.
        keep: How many generations are kept, or None for all.
        subscription: Pub/Sub subscription that is used instead of listings, or "".
        run: A unique id of this run, so that messages of other runs are ignored.
    """

    settings: Settings
    json: tuple[str, ...]
    images: tuple[str, ...]
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

    Attributes:
        chunk: The chunk, or None while it is unknown.
        requested: How many images it requests.
        outcomes: The known outcomes.
        tables: The image results that have the rows of these outcomes.
    """

    chunk: Chunk | None = None
    requested: int = 0
    outcomes: tuple[ImageOutcome, ...] = ()
    tables: tuple[str, ...] = ()


class ShardFact(msgspec.Struct, frozen=True, array_like=True):
    """What is known about a shard.

    Attributes:
        shard: The shard; None until it has been split.
        chunks: How many chunks it has.
        written: Chunks that are written.
        gone: Whether it has changed or was deleted, so that this version is not committed.
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
        member: The member with this path, from the zip with the highest precedence.
        asked: Whether that member has been requested.
        waiting: Chunks that wait for the image.
        missed_by: Stems of shards that are or will be in the dataset without it.
    """

    member: Member | None = None
    asked: bool = False
    waiting: tuple[Waiting, ...] = ()
    missed_by: tuple[str, ...] = ()


class CommitFact(msgspec.Struct, frozen=True, array_like=True):
    """One input of the commit step. Exactly one of the first four is set.

    Attributes:
        summary: Name of the summary of a finished shard.
        source: A zip that has been listed.
        gone: A shard that changed while it was converted; its files are removed.
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
