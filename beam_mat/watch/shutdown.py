"""The end of a watch: requested by a signal, or because there is nothing to do."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """Handles signals in a block: the first one asks the watch to stop, the second ends it at once.

    Attributes:
        asked: Whether the watch must stop after it has committed the work in progress.
        under_way: Whether work may be in progress. Before that, the first signal ends the watch.
    """

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}
        self.asked = False
        self.under_way = False

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.asked:
            # The next run repeats the work that is not committed.
            raise KeyboardInterrupt
        self.asked = True
        if not self.under_way:
            sys.stderr.write("Stopping: no work was started\n")
            raise SystemExit(0)
        sys.stderr.write(
            "Stopping: committing the work in progress; send the signal again to stop now\n"
        )

    def __enter__(self) -> Ending:
        if threading.current_thread() is threading.main_thread():
            self._previous = {one: signal.signal(one, self._handle) for one in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one, handler in self._previous.items():
            signal.signal(one, handler)
