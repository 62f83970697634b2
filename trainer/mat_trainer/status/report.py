"""The state of a run as lines of text."""

from __future__ import annotations

import math

from mat_trainer.status import chart
from mat_trainer.status.folder import Folder
from mat_trainer.status.progress import Progress, progress, seems_alive

FINISHED, RUNNING, SILENT, ENDED = "finished", "running", "no sign of life", "ended"
HEIGHT = 8
BAR = 40


def report(folder: Folder, now: float, width: int, *, plain: bool = False) -> list[str]:
    """The lines to show; none if nothing is logged yet.

    Args:
        folder: The output folder.
        now: Seconds since the epoch.
        width: Characters in a line.
        plain: Uses ASCII only.
    """
    log = folder.log
    reached = progress(log) if log else None
    if log is None or reached is None:
        return []
    lines = [
        f"{chart.bar(reached.fraction, min(BAR, width // 2), plain=plain)} "
        f"{reached.fraction:.1%}  step {reached.step} of {reached.total}",
        "",
    ]
    curve = chart.curve(log.losses, width, HEIGHT, plain=plain)
    lines += [*curve, ""] if curve else []
    has_ended = folder.is_finished or folder.is_alive is False
    facts = [
        ("state", state(folder, reached, now)),
        ("dataset", folder.dataset or ""),
        ("loss", _loss([loss for _, loss in log.losses])),
        ("eval loss", f"{log.eval_losses[-1][1]:.4f}" if log.eval_losses else ""),
        ("epoch", _last([entry.epoch for entry in log.entries], ".2f")),
        ("learning rate", _last([entry.learning_rate for entry in log.entries], ".3g")),
        ("speed", _speed(reached)),
        (
            "left",
            "" if has_ended else duration(reached.seconds_left),
        ),
        ("checkpoint", folder.checkpoint or "none yet"),
        ("log", f"{log.skipped} unreadable line(s) skipped" if log.skipped else ""),
    ]
    return lines + [f"{name:<14}{fact}" for name, fact in facts if fact]


def state(folder: Folder, reached: Progress | None, now: float) -> str:
    """Whether the run is finished, is running, or seems to have stopped."""
    if folder.is_finished:
        return FINISHED
    if folder.is_alive is not None:
        return RUNNING if folder.is_alive else f"{ENDED}: {folder.end}"
    silence = now - folder.last_word if folder.last_word is not None else math.inf
    if seems_alive(reached, silence):
        return RUNNING
    return f"{SILENT} for {duration(silence)}"


def duration(seconds: float | None) -> str:
    """A duration for people; empty for None.

    >>> duration(59.6), duration(3725), duration(200000)
    ('1:00', '1:02:05', '2 d 7 h')
    """
    if seconds is None or not math.isfinite(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _loss(losses: list[float]) -> str:
    if not losses:
        return ""
    if not math.isfinite(losses[-1]):
        return f"{losses[-1]}: it diverged; lower learning_rate, or check the data of these steps"
    finite = [loss for loss in losses if math.isfinite(loss)]
    return f"{losses[-1]:.4f}, from {finite[0]:.4f}, lowest {min(finite):.4f}"


def _last(values: list[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(known[-1], form) if known else ""


def _speed(reached: Progress) -> str:
    seconds = reached.seconds_per_step
    if not seconds:
        return ""
    return f"{seconds:.3g} s a step" if seconds >= 1 else f"{1 / seconds:.3g} steps a second"
