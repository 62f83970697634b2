"""What the steps of a watch, and its driver, tell each other: small files in the work folder.

The intake learns from the commit how far the graph has come, and lets in no more than that allows;
the driver learns from the intake how things stand, and tells it when to stop. Each says of which
run it is, so that nothing left by another is taken for true.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import SourceError
from beam_mat.storage import files
from beam_mat.watch.facts import WatchSettings

T = TypeVar("T", "Mark", "Status", "Stop")


class Mark(msgspec.Struct, frozen=True):
    """How far the graph has come.

    Attributes:
        run: `WatchSettings.run`.
        at: All that was let in before this time has been worked on, or waits for images.
        pending: Shards and zips that wait for the end of their window.
        pending_shards: How many of these are shards.
        unchanged: As of the ledger.
    """

    run: str
    at: float
    pending: int
    pending_shards: int
    unchanged: dict[str, tuple[int, str, int]] = {}


class Status(msgspec.Struct, frozen=True):
    """How things stand.

    Attributes:
        run: As of a mark.
        at: When the intake wrote this, on the graph's clock.
        arriving: Files that may still grow.
        queued: Shards and zips that are not let in yet.
        working: Shards that are worked on.
        waiting: Shards that wait for images.
        pending: As of a mark.
        oldest: Seconds since the shard was seen that has waited longest to be committed, or None.
        unreadable: Zips that cannot be read.
        generation: The last one.
        stopping: Whether nothing is let in any more.
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
    generation: int
    stopping: bool

    @property
    def drained(self) -> bool:
        """Whether all that was begun is committed, but for what waits for images."""
        return self.stopping and not self.working and not self.pending

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do and nothing to wait for."""
        waits = self.arriving + self.queued + self.working + self.waiting + self.pending
        return not waits


class Stop(msgspec.Struct, frozen=True):
    """The driver's word that the watch is to end."""

    run: str


_NAMES: dict[type[msgspec.Struct], str] = {
    Mark: "mark.json",
    Status: "status.json",
    Stop: "stop.json",
}
WAKES = f"{layout.WATCH}/wakes"
TAKEN_UP = f"{layout.WATCH}/taken_up"
UNREADABLE = f"{layout.WATCH}/unreadable"


def _place(watch: WatchSettings, kind: type[msgspec.Struct]) -> str:
    return files.join(watch.settings.output, layout.WATCH, _NAMES[kind])


def tell(watch: WatchSettings, word: Mark | Status | Stop) -> None:
    """Writes a word for the others."""
    scratch = files.join(watch.settings.output, layout.SCRATCH)
    files.write_bytes(_place(watch, type(word)), msgspec.json.encode(word), scratch)


def heard(watch: WatchSettings, kind: type[T]) -> T | None:
    """The last word of this run, or None."""
    try:
        word = msgspec.json.decode(files.read_bytes(_place(watch, kind)), type=kind)
    except (FileNotFoundError, SourceError, msgspec.DecodeError):
        return None  # on a store it can be seen between two words
    return word if word.run == watch.run else None
