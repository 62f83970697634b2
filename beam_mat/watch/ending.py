"""A watch's end: asked for by a signal or for want of work, and told to the intake."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from beam_mat.watch import board
from beam_mat.watch.board import Stop
from beam_mat.watch.facts import WatchSettings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """Hears signals while its block lasts: the first asks for an end, the second is one.

    Attributes:
        asked: Whether the watch is to end when it has committed what was begun.
    """

    def __init__(self, watch: WatchSettings) -> None:
        self._watch = watch
        self._others: dict[signal.Signals, Any] = {}
        self.asked = False

    def ask(self) -> None:
        """Asks for the end."""
        if not self.asked:
            self.asked = True
            board.tell(self._watch, Stop(self._watch.run))

    def _heard(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.asked:
            # What is not committed is done again by the next run.
            raise KeyboardInterrupt
        sys.stderr.write("Ending: committing what was begun; once more to end at once\n")
        self.ask()

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
