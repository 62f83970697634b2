"""How far a run is, how fast it goes, and whether it still does."""

from __future__ import annotations

import statistics
from itertools import pairwise

import msgspec

from mat_trainer.status.log import Entry, Log, begins_a_launch

RECENT = 20
"""Entries over which the speed is measured."""
PATIENCE = 5
"""Intervals between entries without a word after which a run seems to have stopped."""
LEAST_PATIENCE = 120.0
"""Seconds; evaluating and saving take time, in which nothing is logged."""


class Progress(msgspec.Struct, frozen=True):
    """Where a run stands.

    Attributes:
        step: Steps done.
        total: Steps to do.
        seconds_per_step: Of late; None before it can be told.
        interval: Seconds between entries; None before it can be told.
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
        """At the speed of late; None before that can be told."""
        if self.seconds_per_step is None:
            return None
        return max(0, self.total - self.step) * self.seconds_per_step


def progress(log: Log) -> Progress | None:
    """Where the run stands by its log; None where that is empty.

    LLaMA-Factory's own estimate divides the time of this launch by the steps of all, so that it is
    far too short after a run was resumed: it is measured here instead.
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
    """Whether a run that said nothing for so many seconds may well be running."""
    interval = (progress.interval if progress else None) or 0
    return silence <= max(LEAST_PATIENCE, PATIENCE * interval)


def _of_this_launch(entries: tuple[Entry, ...]) -> list[Entry]:
    recent: list[Entry] = []
    for entry in reversed(entries):
        if recent and begins_a_launch(entry, recent[-1]):
            break
        recent.append(entry)
    return recent[::-1]
