"""What travels between the steps of a watch, besides what travels in a conversion."""

from __future__ import annotations

import msgspec

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.member import Member
from beam_mat.core.notes import ImageOutcome, Source
from beam_mat.core.settings import Settings


class WatchSettings(msgspec.Struct, frozen=True):
    """Checked and complete.

    Attributes:
        settings: Of the steps that a conversion has too.
        run: Unique to this run: what one run says is not taken for another's.
        json: Where shards arrive: names and globs.
        images: Where zips arrive.
        interval: Seconds from look to look.
        window: Seconds of a window: each commits what has been finished in it.
        image_wait: Seconds that a record waits for its images.
        subscription: Pub/Sub subscription whose notifications take the place of looks, or "".
    """

    settings: Settings
    run: str
    json: tuple[str, ...]
    images: tuple[str, ...]
    interval: float
    window: float
    image_wait: float
    subscription: str = ""

    @property
    def beat(self) -> float:
        """Seconds from tick to tick of the graph's clock."""
        return min(1.0, self.interval, self.window)


class Tick(msgspec.Struct, frozen=True, array_like=True):
    """The graph's clock, or a file that a notification tells of.

    Attributes:
        at: Seconds since the epoch; None of a notification.
        uri: Of the file, else "".
    """

    at: float | None
    uri: str = ""


class ChunkProgress(msgspec.Struct, frozen=True, array_like=True):
    """A chunk whose images are not all known.

    Attributes:
        chunk: The chunk, when it is known.
        asks: How many images it asks for.
        outcomes: Those that are known.
    """

    chunk: Chunk | None = None
    asks: int = 0
    outcomes: tuple[ImageOutcome, ...] = ()


class ShardFact(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a shard.

    Attributes:
        shard: The shard, once it has been split, or when it is gone.
        chunks: How many chunks it has.
        written: Names of chunks that are written.
        gone: Whether it is no more what it was: nothing of it is to be committed.
    """

    shard: Shard | None = None
    chunks: int = 0
    written: tuple[str, ...] = ()
    gone: bool = False


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A chunk that waits for an image.

    Attributes:
        chunk: Its name.
        until: The end of its wait in milliseconds since the epoch, as exact as engines keep time: a
            timer goes off in the millisecond that it was set for.
    """

    chunk: str
    until: int


class KnownPath(msgspec.Struct, frozen=True, array_like=True):
    """What the join knows of an image path.

    Attributes:
        member: Where it lies, of the zip that comes first.
        asked: Whether a record has asked for that member.
        waiting: Chunks that wait for it.
        missed_by: Shards that are in the dataset, or will be, without it.
    """

    member: Member | None = None
    asked: bool = False
    waiting: tuple[Waiting, ...] = ()
    missed_by: tuple[str, ...] = ()


class CommitFact(msgspec.Struct, frozen=True, array_like=True):
    """What the commit is told of.

    Attributes:
        shard: A shard whose chunks are all written.
        source: A zip that has been listed.
        gone: A shard that has changed on the way: what was written of it is to go.
        beat: The graph's time.
        stop: Whether the watch is to end, and waits for no window.
    """

    shard: Shard | None = None
    source: Source | None = None
    gone: Shard | None = None
    beat: float | None = None
    stop: bool = False


FACTS: tuple[type[msgspec.Struct], ...] = (
    Tick,
    ChunkProgress,
    ShardFact,
    KnownPath,
    CommitFact,
)
