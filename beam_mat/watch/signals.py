"""Messages between the steps of a watch and its driver: small files in the work folder.

The commit step sends the watermark to the intake, which limits the files that it lets in. The
intake sends its status to the driver, and the driver asks the intake to stop. Each message has the
id of its run, so that messages of other runs are ignored.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import SourceError
from beam_mat.storage import files
from beam_mat.watch.elements import WatchSettings

T = TypeVar("T", "Mark", "Status", "Stop")


class Mark(msgspec.Struct, frozen=True):
    """The watermark, from the commit step to the intake.

    Attributes:
        run: `WatchSettings.run`.
        at: Everything that was let in before this time has been processed or waits for images.
        pending: Number of shards and zips that wait for the end of their window.
        pending_shards: How many of these are shards.
        unchanged: `watch.committer.Committer.unchanged`.
    """

    run: str
    at: float
    pending: int
    pending_shards: int
    unchanged: dict[str, tuple[int, str, int]] = {}


class Status(msgspec.Struct, frozen=True):
    """The status of a watch, from the intake to the driver.

    Attributes:
        run: `WatchSettings.run`.
        at: Time of the message, on the graph's clock.
        arriving: Number of files that may still grow.
        queued: Number of shards and zips that are not let in yet.
        working: Number of shards and zips that are being processed.
        waiting: Number of shards that wait for images.
        pending: As in `Mark`.
        oldest: Seconds since the oldest uncommitted shard was first seen, or None.
        unreadable: Number of zips that cannot be read.
        generation: The newest generation.
        stopping: Whether the intake has stopped, and the watermark has passed that time.
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


_NAMES: dict[type[msgspec.Struct], str] = {
    Mark: "mark.json",
    Status: "status.json",
    Stop: "stop.json",
}
WAKES = f"{layout.WATCH}/wakes"
TAKEN_UP = f"{layout.WATCH}/taken_up"
UNREADABLE = f"{layout.WATCH}/unreadable"


def _uri(watch: WatchSettings, kind: type[msgspec.Struct]) -> str:
    return files.join(watch.settings.output, layout.WATCH, _NAMES[kind])


def tell(watch: WatchSettings, message: Mark | Status | Stop) -> None:
    """Sends a message."""
    scratch = files.join(watch.settings.output, layout.SCRATCH)
    files.write_bytes(_uri(watch, type(message)), msgspec.json.encode(message), scratch)


def heard(watch: WatchSettings, kind: type[T]) -> T | None:
    """Returns the last message of this run, or None."""
    try:
        message = msgspec.json.decode(files.read_bytes(_uri(watch, kind)), type=kind)
    except (FileNotFoundError, SourceError, msgspec.DecodeError):
        return None  # a store may show the file while it is replaced
    return message if message.run == watch.run else None
