"""A watch in the terminal: a line that is renewed, or a line now and then in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from itertools import zip_longest

from rich.console import Console
from rich.live import Live
from rich.table import Table

from beam_mat.core.duration import spoken
from beam_mat.watch.monitor import Monitor

LINE_SECONDS = 30.0


@contextlib.contextmanager
def shown(monitor: Monitor, *, terminal: bool | None = None) -> Iterator[Callable[[], None]]:
    """Shows the progress of a watch on standard error until the block ends.

    `terminal` says whether to draw a table; by default, whether standard error is a terminal.

    Yields:
        A function to call when there may be news.
    """
    if sys.stderr.isatty() if terminal is None else terminal:
        with Live(table(monitor), console=Console(stderr=True), auto_refresh=False) as live:
            yield lambda: live.update(table(monitor), refresh=True)
        return
    said = time.monotonic() - LINE_SECONDS

    def say() -> None:
        nonlocal said
        if time.monotonic() - said >= LINE_SECONDS:
            said = time.monotonic()
            sys.stderr.write(line(monitor) + "\n")
            sys.stderr.flush()

    yield say


def facts(monitor: Monitor) -> list[tuple[str, str]]:
    """What is shown, name by name."""
    status, counts = monitor.status, monitor.snapshot.counts
    numbers = {name: counts.get(name, 0) for name in ("records", "accepted", "rejected")}
    numbers["images"] = sum(counts.get("images", {}).values())
    numbers["generation"] = monitor.snapshot.number
    if status:
        numbers |= {name: getattr(status, name) for name in ("arriving", "queued", "working")}
        numbers |= {"waiting for images": status.waiting, "to be committed": status.pending}
    shown = [(name, f"{number:,}") for name, number in numbers.items()]
    if status:
        shown.append(("oldest", "none" if status.oldest is None else spoken(status.oldest)))
        if status.unreadable:
            shown.append(("unreadable zips", f"{status.unreadable:,}"))
    trouble = monitor.trouble()
    return [*shown, ("trouble", trouble)] if trouble else shown


def table(monitor: Monitor) -> Table:
    """The table."""
    drawn = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for _ in range(2):
        drawn.add_column(style="bold")
        drawn.add_column(justify="right")
    shown = facts(monitor)
    half = -(-len(shown) // 2)
    for left, right in zip_longest(shown[:half], shown[half:], fillvalue=("", "")):
        drawn.add_row(*left, *right)
    return drawn


def line(monitor: Monitor) -> str:
    """One line for a log."""
    return ", ".join(f"{name} {value}" for name, value in facts(monitor))
