"""LLaMA-Factory's ``trainer_log.jsonl``: one JSON object a line, appended while it trains.

Fields as `LogCallback` of llamafactory/train/callbacks.py writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

NAME = "trainer_log.jsonl"


class Entry(msgspec.Struct, frozen=True):
    """What was logged at a step.

    Attributes:
        step: Steps done, of all launches of this run.
        total: Steps to do.
        elapsed: Seconds since this launch began to train; None where it was not told.
        loss: Mean since the entry before; None where none was told; not finite if it diverged.
        eval_loss: Likewise, on the validation rows.
        learning_rate: At this step.
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
        entries: With steps that never go back. A run that resumes from a checkpoint does the steps
            after it once more: what was logged of them before is left out.
        skipped: Lines that are not LLaMA-Factory's, or only half written.
    """

    entries: tuple[Entry, ...] = ()
    skipped: int = 0

    @property
    def losses(self) -> list[tuple[int, float]]:
        """Step and training loss."""
        return [(entry.step, entry.loss) for entry in self.entries if entry.loss is not None]

    @property
    def eval_losses(self) -> list[tuple[int, float]]:
        """Step and validation loss."""
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
        # The training and the validation loss of a step are two entries of one launch.
        return None not in (entry.loss, before.loss) or None not in (
            entry.eval_loss,
            before.eval_loss,
        )
    return entry.step < before.step or begins_a_launch(before, entry)


def begins_a_launch(before: Entry, entry: Entry) -> bool:
    """Whether the clock began anew between two entries."""
    return (entry.elapsed or 0) < (before.elapsed or 0)


def _entry(line: str) -> Entry | None:
    try:
        # Python's own reader: a loss may be NaN or Infinity, which JSON does not know.
        fields = json.loads(line)
        return Entry(
            step=_whole(fields["current_steps"]),
            total=_whole(fields["total_steps"]),
            elapsed=_seconds(fields.get("elapsed_time")),
            loss=_number(fields.get("loss")),
            eval_loss=_number(fields.get("eval_loss")),
            learning_rate=_number(fields.get("lr")),
            epoch=_number(fields.get("epoch")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    return float(value)


def _seconds(text: Any) -> int | None:
    """Python's way to write a `timedelta`: ``[D day[s], ]H:MM:SS``.

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
