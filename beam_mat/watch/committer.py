"""Commits windows: finished shards and listed zips become a generation.

The log is the only source of truth. If a run was killed during a commit, the log shows whether the
commit succeeded. A shard that has been committed is never committed again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

import pyarrow as pa

from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.references import Source
from beam_mat.core.results import ChunkRequest, MixOutput, ShardSplit
from beam_mat.core.settings import Settings
from beam_mat.core.summary import ShardSummary
from beam_mat.dataset import flat, image_table, log, vacuum, views
from beam_mat.dataset.commit import CHECKPOINT_EVERY, WATCH, Commit, Content, Made
from beam_mat.dataset.dataset import show_commit
from beam_mat.dataset.fingerprint import configuration, made_by
from beam_mat.dataset.mixes import plan_mixes
from beam_mat.dataset.totals import totals_of
from beam_mat.storage import inputs
from beam_mat.watch.elements import Finished
from beam_mat.work import results
from beam_mat.work.mix import mix

ROUNDS = 3
"""Files of a changed shard are removed after this many commits: more may still be written."""

_LOG = logging.getLogger(__name__)


def made_of(settings: Settings, keep: int | None) -> Made:
    """Returns the properties of the generations that a watch makes."""
    return Made(
        command=WATCH,
        fingerprint=settings.fingerprint,
        made_by=made_by(settings),
        configuration=configuration(settings, None),
        keep=keep,
    )


class Committer:
    """Commits to one dataset.

    Attributes:
        snapshot: The newest generation.
        unchanged: Shards that were reprocessed with the same result, by URI: size, version, and a
            number that is different each time.
    """

    def __init__(self, settings: Settings, keep: int | None) -> None:
        self._settings = settings
        self._made = made_of(settings, keep)
        self.snapshot = log.snapshot(settings.output)
        self._table = self._read_table()
        self._shown = self.snapshot.number
        self._gone: dict[str, int] = {}
        self._zips: dict[str, Source] = {}
        self.unchanged: dict[str, tuple[int, str, int]] = {}

    def _read_table(self) -> pa.Table:
        return image_table.read(self._settings.output, self.snapshot.images)

    def commit(
        self, finished: Sequence[Finished], sources: Iterable[Source], gone: Iterable[Shard] = ()
    ) -> Commit | None:
        """Commits a window.

        Args:
            finished: Shards with a summary.
            sources: Zips that have been listed.
            gone: Shards that changed while they were converted. Their files are removed.

        Returns:
            The commit; None if the dataset has all of this already.
        """
        digest = self._settings.digest()
        self._gone.update((shard.stem(digest), ROUNDS) for shard in gone)
        summaries = self._summaries(finished)
        self._zips.update((source.uri, source) for source in sources)
        made = None
        while made is None:
            # The request of a run that was killed may still have reached the store.
            if list(log.catch_up(self._settings.output, self.snapshot)):
                self._table = self._read_table()
            self._show_newest()
            shards = self._new_shards(summaries)
            known = self.snapshot.sources
            zips = {uri: one for uri, one in self._zips.items() if known.get(uri) != one}
            # A conversion numbers its zips differently, which alone is no reason to commit.
            is_new = any(
                uri not in known or known[uri].content != zips[uri].content for uri in zips
            )
            # A dataset without shards is of no use, so zips alone make no first generation.
            if not shards and not (is_new and self.snapshot.shards):
                break
            made = self._try(shards, zips)
        live = self.snapshot.files()
        # A shard may be reprocessed with the same result, or finished twice in a window.
        flat.put_aside(self._settings.output, summaries, live)
        self._remove_gone()
        return made

    def _summaries(self, finished: Sequence[Finished]) -> list[ShardSummary]:
        names = (one.summary for one in finished)
        return list(results.read(self._settings, layout.SUMMARIES, names, ShardSummary))

    def _new_shards(self, summaries: Iterable[ShardSummary]) -> dict[str, ShardSummary]:
        new: dict[str, ShardSummary] = {}
        for summary in {one.uri: one for one in summaries}.values():
            shard = summary.shard
            if how := inputs.change(shard):
                _LOG.warning("%s; no record of that version is committed", how)
                self._gone[summary.stem] = ROUNDS
            elif self.snapshot.shards.get(shard.uri) == summary:
                self.unchanged[shard.uri] = (shard.size, shard.version, time.time_ns())
            else:
                new[shard.uri] = summary
        return new

    def _try(self, new: dict[str, ShardSummary], zips: dict[str, Source]) -> Commit | None:
        settings, snapshot = self._settings, self.snapshot
        shards = {**snapshot.shards, **new}
        before = snapshot.mixes.values()
        kept, jobs = plan_mixes(shards.values(), before)
        made = {job.name: mix(settings, job, before) for job in jobs}
        mixes: dict[str, MixOutput] = {**kept, **made}
        newer = image_table.newer_rows(
            settings.output,
            self._table,
            ((self._requested(one), one.tables) for one in new.values()),
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
            mixes=mixes,
            images=tuple(images),
            counts=totals_of(shards.values(), image_table.totals(table)).counts(),
        )
        commit = log.append(settings.output, snapshot, self._made, content)
        if commit:
            self._table = table
            show_commit(settings.output, snapshot, commit, table)
            self._shown = snapshot.number
            if commit.keep is not None and commit.generation % CHECKPOINT_EVERY == 0:
                vacuum.run_beside_work(settings.output, commit.keep)
        return commit

    def _show_newest(self) -> None:
        """Updates flat folders and views if the writer of the last commit failed before that."""
        if self._shown != self.snapshot.number:
            flat.arrange(self._settings.output, self.snapshot, keep=True)
            views.write(self._settings.output, self.snapshot, None, self._table)
            self._shown = self.snapshot.number

    def _requested(self, one: ShardSummary) -> set[str]:
        """Returns the published paths of the images that the records of a shard use."""
        (split,) = results.read(self._settings, layout.SPLITS, [one.stem], ShardSplit)
        names = (chunk.name for chunk in split.chunks)
        found = results.read(self._settings, layout.REQUESTS, names, ChunkRequest)
        return {path for request in found for path in request.images}

    def _remove_gone(self) -> None:
        flat.remove_unlisted(self._settings.output, self._gone, self.snapshot.files())
        self._gone = {stem: left - 1 for stem, left in self._gone.items() if left > 1}
