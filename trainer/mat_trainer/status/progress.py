"""The progress and speed of a run, and whether it still runs."""

from __future__ import annotations

import statistics
from itertools import pairwise

import msgspec

from mat_trainer.status.log import Entry, Log, begins_a_launch

RECENT = 20
"""Entries over which the speed is measured."""
PATIENCE = 5
"""A run seems to have stopped after this many usual intervals without an entry."""
LEAST_PATIENCE = 120.0
"""Seconds: nothing is logged while the run evaluates or saves."""


class Progress(msgspec.Struct, frozen=True):
    """The progress of a run.

    Attributes:
        step: Steps done.
        total: Steps of the whole run.
        seconds_per_step: Recent speed; None if it is not known yet.
        interval: Usual seconds between entries; None if they are not known yet.
    """

    step: int
    total: int
    seconds_per_step: float | None = None
    interval: float | None = None

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.step / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time left at the recent speed; None if that is not known yet."""
        if self.seconds_per_step is None:
            return None
        return max(0, self.total - self.step) * self.seconds_per_step


def progress(log: Log) -> Progress | None:
    """The progress that a log shows; None if the log is empty.

    LLaMA-Factory's own estimate divides the time of this launch by the steps of all launches, so
    that it is far too short for a resumed run. So the speed is measured here.
    """
    if not log.entries:
        return None
    recent = _of_this_launch(log.entries)[-RECENT - 1 :]
    last = recent[-1]
    pairs = [
        (after.step - before.step, after.elapsed - before.elapsed)
        for before, after in pairwise(recent)
        if after.elapsed is not None and before.elapsed is not None and after.step > before.step
    ]
    steps = sum(pair[0] for pair in pairs)
    seconds = sum(pair[1] for pair in pairs)
    return Progress(
        step=last.step,
        total=last.total,
        seconds_per_step=seconds / steps if steps and seconds else None,
        interval=statistics.median(pair[1] for pair in pairs) if pairs else None,
    )


def seems_alive(progress: Progress | None, silence: float) -> bool:
    """Whether a run that logged nothing for this many seconds may still be running."""
    interval = (progress.interval if progress else None) or 0
    return silence <= max(LEAST_PATIENCE, PATIENCE * interval)


def _of_this_launch(entries: tuple[Entry, ...]) -> list[Entry]:
    recent: list[Entry] = []
    for entry in reversed(entries):
        if recent and begins_a_launch(entry, recent[-1]):
            break
        recent.append(entry)
    return recent[::-1]
