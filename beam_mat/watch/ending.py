"""A watch's end: asked for by a signal or for want of work."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """Hears signals while its block lasts: the first asks for an end, the second is one.

    Attributes:
        asked: Whether the watch is to end when it has committed what was begun.
        under_way: Whether anything may have been begun; until then the first signal is the end.
    """

    def __init__(self) -> None:
        self._others: dict[signal.Signals, Any] = {}
        self.asked = False
        self.under_way = False

    def _heard(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.asked:
            # What is not committed is done again by the next run.
            raise KeyboardInterrupt
        self.asked = True
        if not self.under_way:
            sys.stderr.write("Ending: nothing was begun\n")
            raise SystemExit(0)
        sys.stderr.write("Ending: committing what was begun; once more to end at once\n")

    def __enter__(self) -> Ending:
        if threading.current_thread() is threading.main_thread():
            self._others = {one: signal.signal(one, self._heard) for one in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one, handler in self._others.items():
            signal.signal(one, handler)
