"""How a watch is getting on, as its driver sees it: from the log and from the intake's word."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from beam_mat.core.errors import WorkerLostError
from beam_mat.dataset import log
from beam_mat.dataset.commit import Commit, Snapshot
from beam_mat.watch import signals
from beam_mat.watch.elements import WatchSettings
from beam_mat.watch.signals import Status

DEAD_SECONDS = 300.0
"""So long, and it is taken for dead."""
SILENT_SECONDS = 60.0
"""So long without a word from the intake, and the graph is taken for stuck."""


class Monitor:
    """The state of a watch. `look` refreshes it.

    `snapshot` is the newest generation, `status` the intake's last message (None before the first),
    and `progress` counts the work of the steps in this run.
    """

    def __init__(self, watch: WatchSettings, progress: Counter[str]) -> None:
        self._watch = watch
        self.progress = progress
        self.snapshot: Snapshot = log.snapshot(watch.settings.output)
        self.status: Status | None = None
        self._heard = self._committed = time.monotonic()
        self._idle_since: float | None = None

    def look(self) -> list[dict[str, Any]]:
        """Looks again, and returns what the log says of the generations that are new."""
        now = time.monotonic()
        status = signals.heard(self._watch, Status)
        if status and status != self.status:
            self._heard = now
        self.status = status or self.status
        made = []
        output = self._watch.settings.output
        while found := log.read(output, self.snapshot.number + 1):
            made.append(log_line(found, self.snapshot))
            self.snapshot.apply(found)
        if made or not self.works:
            self._committed = now
        idle = self.status is not None and self.status.idle and not made
        self._idle_since = (self._idle_since or now) if idle else None
        return made

    @property
    def works(self) -> bool:
        """Whether there are shards or zips that are not committed, and that no image keeps."""
        status = self.status
        return bool(status and status.queued + status.working + status.pending)

    def idle_seconds(self) -> float:
        """How long there has been nothing to do and nothing to wait for."""
        return 0.0 if self._idle_since is None else time.monotonic() - self._idle_since

    def hold(self) -> None:
        """Makes sure that the graph is alive.

        Raises:
            WorkerLostError: It has been silent for so long that it is not.
        """
        silent = time.monotonic() - self._heard
        if silent > max(DEAD_SECONDS, 30 * self._watch.interval):
            raise WorkerLostError(
                f"nothing has been heard from the graph for {silent:.0f} s: a worker may have died "
                "without its runner noticing; run the same command again; it resumes from here"
            )

    def trouble(self) -> str | None:
        """Why the watch does not look well, or None."""
        now = time.monotonic()
        silent = now - self._heard
        if silent > max(SILENT_SECONDS, 3 * self._watch.interval):
            return f"nothing has been heard from the graph for {silent:.0f} s"
        late = now - self._committed
        if late > max(SILENT_SECONDS, 3 * (self._watch.window + self._watch.interval)):
            return f"work is waiting, and nothing has been committed for {late:.0f} s"
        return None


def log_line(commit: Commit, before: Snapshot) -> dict[str, Any]:
    """Returns the line about a commit for the watch's log. `before` is the dataset before it."""
    known = [one for one in commit.shards.added if one.uri in before.shards]
    replaced = [one.uri for one in known if before.shards[one.uri].content != one.content]
    again = [one.uri for one in known if one.uri not in replaced]
    return {
        "generation": commit.generation,
        "shards": len(commit.shards.added),
        "zips": len(commit.sources.added),
        "new_versions_of": replaced,
        "taken_in_again": again,
        "parts_added": len(commit.parts.added),
        "parts_removed": len(commit.parts.removed),
        "records": commit.counts.get("records", 0),
        "accepted": commit.counts.get("accepted", 0),
        "rejected": commit.counts.get("rejected", 0),
    }
