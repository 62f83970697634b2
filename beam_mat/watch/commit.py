"""The last step of a watch: commits the finished work of each window as one generation.

The log is the only source of truth. If a run was killed during a commit, the log shows whether the
commit succeeded. A shard that has been committed is never committed again.
"""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam.coders import FloatCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.utils.timestamp import Timestamp

from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.results import ShardSummary, Source
from beam_mat.core.settings import Settings
from beam_mat.dataset import flat, image_table, log, vacuum, views
from beam_mat.dataset.commit import CHECKPOINT_EVERY, WATCH, Commit, Content, counts_of
from beam_mat.dataset.conversion import made_of
from beam_mat.dataset.dataset import show_commit
from beam_mat.storage import files, inputs
from beam_mat.transforms.shuffle import StructCoder
from beam_mat.watch import messages
from beam_mat.watch.joins import WatchStep
from beam_mat.watch.messages import CommitFact, WatchSettings, Watermark
from beam_mat.work import chunks, results
from beam_mat.work.mix import mix, plan_mixes

ROUNDS = 3
"""Files of a changed shard are removed after this many commits: more may still be written."""

_LOG = logging.getLogger(__name__)


@beam.typehints.with_input_types(tuple[str, CommitFact])
@beam.typehints.with_output_types(str)
class CommitWindows(WatchStep):
    """Collects finished work, and commits it at the end of its window.

    All elements have the same key, because generations are committed one after another. Windows
    follow the watermark: a window ends when everything that was let in before its end has been
    processed or waits for images. Each timer has a state with the time at which it fires.
    """

    FINISHED = BagStateSpec("finished", StructCoder(CommitFact))
    WINDOW = TimerSpec("window", TimeDomain.WATERMARK)
    WINDOW_END = ReadModifyWriteStateSpec("window_end", FloatCoder())
    MARK = TimerSpec("mark", TimeDomain.WATERMARK)
    MARK_AT = ReadModifyWriteStateSpec("mark_at", FloatCoder())

    def process(
        self,
        element: tuple[str, CommitFact],
        at: Any = beam.DoFn.TimestampParam,
        finished: Any = beam.DoFn.StateParam(FINISHED),
        window: Any = beam.DoFn.TimerParam(WINDOW),
        window_end: Any = beam.DoFn.StateParam(WINDOW_END),
        mark: Any = beam.DoFn.TimerParam(MARK),
        mark_at: Any = beam.DoFn.StateParam(MARK_AT),
    ) -> None:
        """Stores finished work and sets the timers."""
        fact = element[1]
        if fact.tick is None:
            finished.add(fact)
            if window_end.read() is None:
                end = (math.floor(float(at) / self._watch.window) + 1) * self._watch.window
                window.set(Timestamp(end))
                window_end.write(end)
            return
        # Set only once: if each tick moved the timer, it would never fire while the watermark lags.
        if mark_at.read() is None:
            mark.set(Timestamp(fact.tick))
            mark_at.write(fact.tick)
        if fact.stop:
            self._commit(finished)

    @on_timer(WINDOW)
    def end_window(
        self,
        finished: Any = beam.DoFn.StateParam(FINISHED),
        window_end: Any = beam.DoFn.StateParam(WINDOW_END),
    ) -> None:
        window_end.clear()
        self._commit(finished)

    @on_timer(MARK)
    def report_watermark(
        self,
        finished: Any = beam.DoFn.StateParam(FINISHED),
        mark_at: Any = beam.DoFn.StateParam(MARK_AT),
    ) -> None:
        """Reports the watermark to the intake."""
        at = mark_at.read() or 0.0
        mark_at.clear()
        waiting = list(finished.read())
        mark = Watermark(
            run=self._watch.run,
            at=at,
            pending=len(waiting),
            pending_shards=sum(bool(fact.summary) for fact in waiting),
            unchanged=_committer(self._watch).unchanged,
        )
        messages.send(self._watch, mark)

    def _commit(self, finished: Any) -> None:
        facts: list[CommitFact] = list(finished.read())
        if facts:
            _committer(self._watch).commit(
                [fact.summary for fact in facts if fact.summary],
                [fact.source for fact in facts if fact.source],
                [fact.gone for fact in facts if fact.gone],
            )
            finished.clear()


@functools.cache
def _committer(watch: WatchSettings) -> Committer:
    """Returns the one committer of this process: a runner may recreate the step at any time."""
    return Committer(watch.settings, watch.keep)


class Committer:
    """Commits windows to one dataset, whose newest generation is `snapshot`.

    `unchanged` has the shards that were reprocessed with the same result, or that are no shards, by
    URI: size, version, and a number that is different each time.
    """

    def __init__(self, settings: Settings, keep: int | None) -> None:
        self._settings = settings
        self._made = made_of(settings, WATCH, keep)
        self.snapshot = log.snapshot(settings.output)
        self._table = image_table.read(settings.output, self.snapshot.images)
        self._shown = self.snapshot.number
        self._gone: dict[str, int] = {}
        self._zips: dict[str, Source] = {}
        self.unchanged: dict[str, tuple[int, str, int]] = {}

    def commit(
        self, names: Iterable[str], sources: Iterable[Source], gone: Iterable[Shard] = ()
    ) -> Commit | None:
        """Commits a window. Returns None if the dataset has all of this already.

        `names` are those of the summaries of finished shards, `sources` the zips that have been
        listed, and `gone` the shards that changed while they were converted, or are none.
        """
        output, digest = self._settings.output, self._settings.digest()
        gone = list(gone)
        self._gone.update((shard.stem(digest), ROUNDS) for shard in gone)
        # What has not changed is no shard. There is nothing to wait for until it is replaced.
        left_out = [shard for shard in gone if not inputs.change(shard)]
        self.unchanged.update((one.uri, (*one.content, time.time_ns())) for one in left_out)
        summaries = list(results.read(self._settings, layout.SUMMARIES, names, ShardSummary))
        self._zips.update((source.uri, source) for source in sources)
        made = None
        while made is None:
            # The request of a run that was killed may still have reached the store.
            if list(log.catch_up(output, self.snapshot)):
                self._table = image_table.read(output, self.snapshot.images)
            self._show_newest()
            shards = self._new_shards(summaries)
            known = self.snapshot.sources
            zips = {uri: one for uri, one in self._zips.items() if known.get(uri) != one}
            # A conversion numbers its zips differently, which alone is no reason to commit.
            contents = {(uri, one.content) for uri, one in known.items()}
            is_new = any((uri, one.content) not in contents for uri, one in zips.items())
            # A dataset without shards is of no use, so zips alone make no first generation.
            if not shards and not (is_new and self.snapshot.shards):
                break
            made = self._try(shards, zips)
        live = self.snapshot.files()
        # A shard may be reprocessed with the same result, or finished twice in a window.
        flat.put_aside(output, summaries, live)
        flat.remove_unlisted(output, self._gone, live)
        self._gone = {stem: left - 1 for stem, left in self._gone.items() if left > 1}
        packed = [one.shard for one in summaries if one.compression]
        for shard in [*packed, *gone]:
            files.remove_file(chunks.copy_of(output, shard))
        return made

    def _show_newest(self) -> None:
        """Updates flat folders and views if the writer of the last commit failed before that."""
        if self._shown != self.snapshot.number:
            flat.arrange(self._settings.output, self.snapshot, keep=True)
            views.write(self._settings.output, self.snapshot, None, self._table)
            self._shown = self.snapshot.number

    def _new_shards(self, summaries: Iterable[ShardSummary]) -> dict[str, ShardSummary]:
        new: dict[str, ShardSummary] = {}
        for summary in {one.uri: one for one in summaries}.values():
            shard = summary.shard
            if how := inputs.change(shard):
                _LOG.warning("%s; no record of that version is committed", how)
                self._gone[summary.stem] = ROUNDS
            elif self.snapshot.shards.get(shard.uri) == summary:
                self.unchanged[shard.uri] = (*shard.content, time.time_ns())
            else:
                new[shard.uri] = summary
        return new

    def _try(self, new: dict[str, ShardSummary], zips: dict[str, Source]) -> Commit | None:
        settings, snapshot = self._settings, self.snapshot
        shards = {**snapshot.shards, **new}
        before = snapshot.mixes.values()
        kept, jobs = plan_mixes(shards.values(), before)
        newer = image_table.newer_rows(
            settings.output,
            self._table,
            ((chunks.image_paths(settings, one.shard), one.tables) for one in new.values()),
        )
        table = image_table.merge(self._table, newer)
        images = list(snapshot.images)
        if (snapshot.number + 1) % CHECKPOINT_EVERY == 0:
            images = [image_table.write_rows(settings.output, table)]
        elif newer.num_rows:
            images.append(image_table.write_rows(settings.output, newer))
        content = Content(
            shards=shards,
            sources={**snapshot.sources, **zips},
            mixes={**kept, **{job.name: mix(settings, job, before) for job in jobs}},
            images=tuple(images),
            counts=counts_of(shards.values(), image_table.totals(table)),
        )
        commit = log.append(settings.output, snapshot, self._made, content)
        if commit:
            self._table = table
            show_commit(settings.output, snapshot, commit, table)
            self._shown = snapshot.number
            if commit.keep is not None and commit.generation % CHECKPOINT_EVERY == 0:
                vacuum.run_beside_work(settings.output, commit.keep)
        return commit
