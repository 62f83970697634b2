"""The last step of a watch: commits the finished work of each window as one generation."""

from __future__ import annotations

import functools
import math
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.utils.timestamp import Timestamp

from beam_mat.transforms.coders import StructCoder
from beam_mat.transforms.step import FileStep
from beam_mat.watch import signals
from beam_mat.watch.committer import Committer
from beam_mat.watch.elements import CommitFact, WatchSettings
from beam_mat.watch.signals import Mark


class Armed(msgspec.Struct, frozen=True, array_like=True):
    """The time at which a timer fires."""

    at: float


@beam.typehints.with_input_types(tuple[str, CommitFact])
@beam.typehints.with_output_types(str)
class Commit(FileStep):
    """Collects finished work, and commits it at the end of its window.

    All elements have the same key, because generations are committed one after another. Windows
    follow the watermark: a window ends when everything that was let in before its end has been
    processed or waits for images.
    """

    FINISHED = BagStateSpec("finished", StructCoder(CommitFact))
    WINDOW = TimerSpec("window", TimeDomain.WATERMARK)
    WINDOW_ARMED = ReadModifyWriteStateSpec("window_armed", StructCoder(Armed))
    MARK = TimerSpec("mark", TimeDomain.WATERMARK)
    MARK_ARMED = ReadModifyWriteStateSpec("mark_armed", StructCoder(Armed))

    def __init__(self, watch: WatchSettings) -> None:
        super().__init__(watch.settings)
        self._watch = watch

    def process(
        self,
        element: tuple[str, CommitFact],
        at: Any = beam.DoFn.TimestampParam,
        finished: Any = beam.DoFn.StateParam(FINISHED),
        window: Any = beam.DoFn.TimerParam(WINDOW),
        window_armed: Any = beam.DoFn.StateParam(WINDOW_ARMED),
        mark: Any = beam.DoFn.TimerParam(MARK),
        mark_armed: Any = beam.DoFn.StateParam(MARK_ARMED),
    ) -> None:
        """Stores finished work and sets the timers."""
        fact = element[1]
        if fact.beat is None:
            finished.add(fact)
            if not window_armed.read():
                end = (math.floor(float(at) / self._watch.window) + 1) * self._watch.window
                window.set(Timestamp(end))
                window_armed.write(Armed(end))
            return
        # Set only once: if each beat moved the timer, it would never fire while the watermark lags.
        if not mark_armed.read():
            mark.set(Timestamp(fact.beat))
            mark_armed.write(Armed(fact.beat))
        if fact.stop:
            self._commit(finished)

    @on_timer(WINDOW)
    def end_window(
        self,
        finished: Any = beam.DoFn.StateParam(FINISHED),
        window_armed: Any = beam.DoFn.StateParam(WINDOW_ARMED),
    ) -> None:
        window_armed.clear()
        self._commit(finished)

    @on_timer(MARK)
    def set_mark(
        self,
        finished: Any = beam.DoFn.StateParam(FINISHED),
        mark_armed: Any = beam.DoFn.StateParam(MARK_ARMED),
    ) -> None:
        """Reports the watermark to the intake."""
        armed = mark_armed.read()
        mark_armed.clear()
        waiting = list(finished.read())
        mark = Mark(
            run=self._watch.run,
            at=armed.at if armed else 0.0,
            pending=len(waiting),
            pending_shards=sum(fact.finished is not None for fact in waiting),
            unchanged=_committer(self._watch).unchanged,
        )
        signals.tell(self._watch, mark)

    def _commit(self, finished: Any) -> None:
        facts: list[CommitFact] = list(finished.read())
        if facts:
            _committer(self._watch).commit(
                [fact.finished for fact in facts if fact.finished],
                [fact.source for fact in facts if fact.source],
                [fact.gone for fact in facts if fact.gone],
            )
            finished.clear()


@functools.cache
def _committer(watch: WatchSettings) -> Committer:
    """Returns the one committer of this process: a runner may recreate the step at any time."""
    return Committer(watch.settings, watch.keep)
