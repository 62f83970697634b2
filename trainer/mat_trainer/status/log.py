"""Reads LLaMA-Factory's ``trainer_log.jsonl``: lines of JSON that are appended during training.

Source of the fields: `LogCallback` of llamafactory/train/callbacks.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated

import msgspec

NAME = "trainer_log.jsonl"


class Entry(msgspec.Struct, frozen=True):
    """A line of the log.

    Attributes:
        step: Steps done, in all launches of this run.
        total: Steps of the whole run.
        elapsed: Seconds since this launch began to train; None if the line has none.
        loss: Mean since the previous entry; None if the line has none; not finite if it diverged.
        eval_loss: The same, for the validation rows.
        learning_rate: The learning rate at this step.
        epoch: Passes over the data, with a fraction.
    """

    step: int
    total: int
    elapsed: int | None = None
    loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float | None = None
    epoch: float | None = None


class Log(msgspec.Struct, frozen=True):
    """A whole log.

    Attributes:
        entries: Entries with rising steps. A resumed run repeats the steps after its checkpoint:
            the earlier entries of these are left out.
        skipped: How many lines are incomplete, or not LLaMA-Factory's.
    """

    entries: tuple[Entry, ...] = ()
    skipped: int = 0

    @property
    def losses(self) -> list[tuple[int, float]]:
        """Pairs of step and training loss."""
        return [(entry.step, entry.loss) for entry in self.entries if entry.loss is not None]

    @property
    def eval_losses(self) -> list[tuple[int, float]]:
        """Pairs of step and validation loss."""
        return [
            (entry.step, entry.eval_loss) for entry in self.entries if entry.eval_loss is not None
        ]


def parse(lines: Iterable[str]) -> Log:
    """Reads the lines of a log."""
    entries: list[Entry] = []
    skipped = 0
    for line in lines:
        if not line.strip():
            continue
        entry = _entry(line)
        if entry is None:
            skipped += 1
            continue
        if entries and _is_resumed(entries[-1], entry):
            while entries and entries[-1].step >= entry.step:
                entries.pop()
        entries.append(entry)
    return Log(tuple(entries), skipped)


def _is_resumed(before: Entry, entry: Entry) -> bool:
    if entry.step == before.step:
        # A launch writes two entries for a step: its training loss and its validation loss.
        return None not in (entry.loss, before.loss) or None not in (
            entry.eval_loss,
            before.eval_loss,
        )
    return entry.step < before.step or begins_a_launch(before, entry)


def begins_a_launch(before: Entry, entry: Entry) -> bool:
    """Whether the clock was reset between two entries."""
    return (entry.elapsed or 0) < (before.elapsed or 0)


def _entry(line: str) -> Entry | None:
    try:
        # Python's own reader accepts NaN and Infinity, which JSON does not have.
        found = msgspec.convert(json.loads(line), _Line)
        return Entry(
            step=found.current_steps,
            total=found.total_steps,
            elapsed=_seconds(found.elapsed_time),
            loss=found.loss,
            eval_loss=found.eval_loss,
            learning_rate=found.lr,
            epoch=found.epoch,
        )
    except (ValueError, RecursionError):
        return None


class _Line(msgspec.Struct):
    current_steps: Annotated[int, msgspec.Meta(ge=0)]
    total_steps: Annotated[int, msgspec.Meta(ge=0)]
    elapsed_time: str | None = None
    loss: float | None = None
    eval_loss: float | None = None
    lr: float | None = None
    epoch: float | None = None


def _seconds(text: str | None) -> int | None:
    """Seconds from Python's form of a `timedelta`: ``[D day[s], ]H:MM:SS``.

    >>> _seconds("0:01:30"), _seconds("1 day, 2:00:00"), _seconds(None)
    (90, 93600, None)
    """
    if text is None:
        return None
    matched = re.fullmatch(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)", text)
    if not matched:
        raise ValueError
    days, hours, minutes, seconds = (int(part or 0) for part in matched.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
