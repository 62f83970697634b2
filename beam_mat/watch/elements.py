"""Elements that only the graph of a watch has; see `core.references` for the others."""

from __future__ import annotations

import msgspec

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.member import Member
from beam_mat.core.references import ImageOutcome, Source, Written
from beam_mat.core.settings import Settings


class WatchSettings(msgspec.Struct, frozen=True):
    """Checked and complete: no step decides on a default.

    Attributes:
        settings: Settings of the steps that a conversion also has.
        run: A unique id of this run, so that messages of other runs are ignored.
        json: Names and globs of the shards.
        images: Names and globs of the zips.
        interval: Seconds between two listings.
        window: Seconds of a window. The work of a window is committed as one generation.
        image_wait: Seconds that a record waits for its images.
        keep: How many generations are kept, or None for all.
        subscription: Pub/Sub subscription that is used instead of listings, or "".
    """

    settings: Settings
    run: str
    json: tuple[str, ...]
    images: tuple[str, ...]
    interval: float
    window: float
    image_wait: float
    keep: int | None = None
    subscription: str = ""

    @property
    def beat(self) -> float:
        """Seconds between two ticks of the graph's clock."""
        return min(1.0, self.interval, self.window)


class Tick(msgspec.Struct, frozen=True, array_like=True):
    """A tick of the graph's clock, or a notification about a file.

    Attributes:
        at: Seconds since the epoch; None for a notification.
        uri: URI of the file; "" for a tick.
    """

    at: float | None
    uri: str = ""


class ChunkProgress(msgspec.Struct, frozen=True, array_like=True):
    """The images of a chunk that are known so far.

    Attributes:
        chunk: The chunk, or None while it is unknown.
        asks: How many images it requests.
        outcomes: The known outcomes.
        tables: The image results that have the rows of these outcomes.
    """

    chunk: Chunk | None = None
    asks: int = 0
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
    """A chunk that waits for an image.

    Attributes:
        chunk: Its name.
        until: The end of its wait in milliseconds since the epoch, the precision of Beam's timers.
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


class Complete(msgspec.Struct, frozen=True, array_like=True):
    """A shard whose chunks are all written, but which has no summary yet."""

    shard: Shard
    written: tuple[Written, ...]


class Finished(msgspec.Struct, frozen=True, array_like=True):
    """A shard with a summary, and the name of the summary."""

    shard: Shard
    summary: str


class CommitFact(msgspec.Struct, frozen=True, array_like=True):
    """One input of the commit step. Exactly one of the first four is set.

    Attributes:
        finished: A shard with a summary.
        source: A zip that has been listed.
        gone: A shard that changed while it was converted; its files are removed.
        beat: The time of a tick.
        stop: Whether to commit at once, because the watch ends.
    """

    finished: Finished | None = None
    source: Source | None = None
    gone: Shard | None = None
    beat: float | None = None
    stop: bool = False


FACTS: tuple[type[msgspec.Struct], ...] = (
    Tick,
    ChunkProgress,
    ShardFact,
    KnownPath,
    Complete,
    CommitFact,
)
