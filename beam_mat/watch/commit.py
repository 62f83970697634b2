"""Ends a window: what has been finished in it becomes a generation."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
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
from beam_mat.watch import board
from beam_mat.watch.board import Mark
from beam_mat.watch.facts import CommitFact, WatchSettings
from beam_mat.watch.ledger import Ledger


class Armed(msgspec.Struct, frozen=True, array_like=True):
    """When a timer that has been set goes off."""

    at: float


@beam.typehints.with_input_types(tuple[str, CommitFact])
@beam.typehints.with_output_types(str)
class Commit(FileStep):
    """Gathers what is finished, and commits it when its window is over.

    There is one key: generations follow one another. A window is one of the graph's time, so that
    it is over when all that was let in before has been worked on, or waits for images.
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
        """Keeps what is finished; a beat sets the clock by which that is committed."""
        fact = element[1]
        if fact.beat is None:
            finished.add(fact)
            if not window_armed.read():
                # At the end of the window that this is in.
                end = (math.floor(float(at) / self._watch.window) + 1) * self._watch.window
                window.set(Timestamp(end))
                window_armed.write(Armed(end))
            return
        # Set once, and then left alone: set anew at each beat it would never go off where the
        # graph's time lags behind.
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
        """Commits."""
        window_armed.clear()
        self._commit(finished)

    @on_timer(MARK)
    def set_mark(
        self,
        finished: Any = beam.DoFn.StateParam(FINISHED),
        mark_armed: Any = beam.DoFn.StateParam(MARK_ARMED),
    ) -> None:
        """Tells the intake how far the graph has come."""
        armed = mark_armed.read()
        mark_armed.clear()
        waiting = list(finished.read())
        ledger = _ledger(self._watch)
        mark = Mark(
            run=self._watch.run,
            at=armed.at if armed else 0.0,
            pending=len(waiting),
            pending_shards=sum(fact.shard is not None for fact in waiting),
            unchanged=ledger.unchanged,
        )
        board.tell(self._watch, mark)

    def _commit(self, finished: Any) -> None:
        facts: Iterable[CommitFact] = list(finished.read())
        if facts:
            _ledger(self._watch).commit(facts)
            finished.clear()


@functools.cache
def _ledger(watch: WatchSettings) -> Ledger:
    """One a process: an engine may make the step anew at any time."""
    return Ledger(watch.settings)
