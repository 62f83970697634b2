"""Opens a dataset for writing and commits to it: the only way to change a dataset.

    with Dataset.open(uri, Command.CONVERT, say) as dataset:
        ...                     # a graph writes immutable files
        dataset.commit(...)

Opening acquires the lease, completes the commit of a killed run, and returns a known state.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError, OutputInUseError
from beam_mat.core.job import Job
from beam_mat.core.settings import Settings
from beam_mat.dataset import conversion, flat, lease, log, vacuum, views
from beam_mat.dataset.commit import CHECKPOINT_EVERY, Commit, Content, Made, Snapshot, in_order
from beam_mat.dataset.lease import Lease
from beam_mat.dataset.state import Action, Command, Facts, State, action_of, state_of
from beam_mat.dataset.views import Report
from beam_mat.storage import files

_OURS = (layout.GENERATIONS, *layout.FLAT_FOLDERS, layout.REPLACED, layout.IMAGES, layout.WORK)
"""Folders in which files are written and removed. None of them may be a link."""

_REFUSED = {
    Action.REFUSE_EMPTY: "there is no dataset here; create one with beam-mat convert",
    Action.REFUSE_PENDING: (
        "a conversion was started here and is not finished; run the same beam-mat convert again or "
        "beam-mat publish, and then this command"
    ),
    Action.REFUSE_DAMAGED: (
        "a commit is missing in generations/; restore it, or run beam-mat convert, which starts a "
        "new log"
    ),
}


class Dataset:
    """An output folder that is open for writing.

    `state` is that when it was opened, and `action` what the command does in it. `snapshot` is the
    newest generation, `pending` the conversion that was started but not committed, or None.
    """

    def __init__(self, uri: str, command: Command, held: Lease, report: Report | None) -> None:
        self.uri = uri
        self._command = command
        self._lease = held
        self._report = report
        self.pending = conversion.read_pending(uri)
        self.snapshot = Snapshot()
        self._facts = self._look()
        self.state, self.action = state_of(self._facts), action_of(self._facts, command)

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        uri: str,
        command: Command,
        say: Callable[[str], object],
        *,
        report: Report | None = None,
        busy: Callable[[str], object] | None = None,
        overwrite: bool = False,
    ) -> Iterator[Dataset]:
        """Opens an output folder, which need not exist, for the duration of the block.

        `say` is as in `lease.held`, and `report` writes report.html. `busy` raises OutputInUseError
        if a service still writes to the folder. With `overwrite`, a folder that this version cannot
        read is emptied. Raises OutputInUseError if another run writes to the folder, OutputError if
        one of its folders is a link, and ConfigError if the command is not possible in
        the state of the folder.
        """
        fault = _REFUSED.get(action_of(Facts(), command))
        if fault and not files.exists(uri):
            raise ConfigError([f"{uri}: {fault}"])  # the lease would create the folder
        files.protect(uri)
        for folder in _OURS:
            files.refuse_links(files.join(uri, folder), uri)
        with lease.held(uri, say) as held:
            if busy:
                busy(uri)
            try:
                dataset = cls(uri, command, held, report)
            except ConfigError:
                if not overwrite:
                    raise
                _clear(uri)
                dataset = cls(uri, command, held, report)
            dataset._recover()
            yield dataset

    def _look(self) -> Facts:
        there, manifest = log.numbers(self.uri), views.read_manifest(self.uri)
        whole = True
        try:
            self.snapshot = log.snapshot(self.uri)
        except log.MissingCommitError:
            whole = False
        made = self.snapshot.made
        return Facts(
            newest=there.newest,
            whole=whole,
            viewed=manifest.generation if manifest else 0,
            pending=self.pending is not None,
            holds_files=not (there.newest or manifest or self.pending) and _holds_files(self.uri),
            committed=bool(made and self.pending and made.fingerprint == self.pending.fingerprint),
        )

    def _recover(self) -> None:
        """Completes the work of a killed run, as far as the command needs it."""
        if fault := _REFUSED.get(self.action):
            raise ConfigError([f"{self.uri}: {fault}"])
        if self.action is Action.UPDATE or self._command in (Command.WATCH, Command.VACUUM):
            # A watch discards an unfinished conversion and its files. A vacuum first moves files
            # that a killed watch has not moved.
            keep = self.snapshot.number > 0
            self._check_lost(flat.arrange(self.uri, self.snapshot, keep=keep))
        if self.action is Action.UPDATE:
            made = self.snapshot.made
            if made and self._facts.committed:
                self._vacuum(made.keep)  # its run may have removed only some files
            views.write(self.uri, self.snapshot, self._report)
        if self._command is Command.WATCH:
            scratch = files.join(self.uri, layout.SCRATCH)
            files.write_bytes(files.join(self.uri, layout.WATCHED), b"", scratch)
        if self._facts.committed or self._command is Command.WATCH:
            self._remove_pending()

    def _remove_pending(self) -> None:
        files.remove_file(files.join(self.uri, layout.PENDING))
        self.pending = None

    def _check_lost(self, lost: Sequence[str]) -> None:
        if lost:
            more = f" (and {len(lost) - 1:,} more)" if len(lost) > 1 else ""
            fault = f"{files.join(self.uri, lost[0])}: is missing{more}"
            raise ConfigError([f"{fault}; restore it, or recreate it with beam-mat convert"])

    def is_made_by(self, job: Job, keep: int | None) -> bool:
        """Returns whether the folder has the dataset of a job, by inputs and configuration.

        Versions of packages do not count: a complete dataset stays complete. `keep` is how many
        generations the job keeps, or None for all.
        """
        made = self.snapshot.made
        return (
            self.state is State.CURRENT
            and made is not None
            and (made.command, made.keep) == (Command.CONVERT, keep)
            and made.configuration == conversion.configuration(job.settings, job.limit)
            and [one.shard for one in in_order(self.snapshot.shards.values())] == list(job.shards)
            and in_order(self.snapshot.sources.values()) == list(job.sources)
        )

    def differences(self, settings: Settings, limit: int | None) -> list[str]:
        """Returns why a job cannot continue the dataset: one sentence per option or version."""
        there = self.snapshot.made or self.pending
        if there is None:
            return []
        now = conversion.made_of(settings, self._command, None, limit)
        return conversion.differences(self.uri, now, there)

    def clear(self) -> None:
        """Removes everything except the lease, to start over."""
        _clear(self.uri)
        self.snapshot, self.pending, self._facts = Snapshot(), None, Facts()
        self.state, self.action = State.EMPTY, Action.BEGIN

    def begin(self, job: Job, keep: int | None) -> None:
        """Records that a conversion was started, and removes the views.

        From now on the flat folders may have files that belong to no generation.
        """
        _remove_scratch(self.uri)
        conversion.write_pending(job, keep)
        views.withdraw(self.uri)

    def commit(self, made: Made, content: Content) -> Snapshot:
        """Commits a conversion, and updates the views.

        Makes no commit if the dataset has exactly this content already. Raises OutputInUseError if
        another run writes to the folder.
        """
        self._lease.check()
        if self.snapshot.made != made or not self.snapshot.is_content(content):
            if self.state is State.DAMAGED:
                number = max(self._facts.newest, self._facts.viewed)
                self.snapshot = Snapshot(number=number)  # the commit builds on no other
            if not log.append(self.uri, self.snapshot, made, content):
                raise OutputInUseError(
                    f"{self.uri}: another run has committed generation {self.snapshot.number + 1}; "
                    "run the same command again"
                )
        fresh = self.state is State.EMPTY
        if made.keep == 1 and not fresh:
            # The vacuum removes the other files, after the commits that name them.
            self._check_lost(flat.complete(self.uri, self.snapshot))
        elif content.mixes or not fresh:  # mixing leaves parts that it has replaced
            self._check_lost(flat.arrange(self.uri, self.snapshot, keep=made.keep != 1))
        if not fresh:
            self._vacuum(made.keep)
        views.write(self.uri, self.snapshot, self._report)
        self._remove_pending()
        if any(one.compression for one in self.snapshot.shards.values()):
            files.remove(files.join(self.uri, layout.UNPACKED))
        _remove_scratch(self.uri)
        return self.snapshot

    def _vacuum(self, keep: int | None) -> None:
        if self.state is State.DAMAGED and keep != 1:
            return  # in a damaged log, older generations cannot be read
        watched = files.join(self.uri, layout.WATCHED)
        # No killed run has left files, so only images that a table names can be garbage.
        is_sound = self.state is State.CURRENT and not files.exists(watched)
        if keep is not None:
            vacuum.run(self.uri, keep, vacuum.listed_images(self.uri) if is_sound else None)
        elif not is_sound:
            vacuum.remove_unnamed(self.uri)
        if not is_sound:
            files.remove_file(watched)


def _holds_files(uri: str) -> bool:
    held = (f"{layout.LEASE}/", f"{layout.SCRATCH}/", layout.WATCHED)
    return any(not name.startswith(held) for name, _ in files.find(uri, follow=True))


def _clear(uri: str) -> None:
    """Removes all files of this package below an output folder, except the lease."""
    views.withdraw(uri)
    for folder in _OURS:  # the log first, since it names the others
        if folder != layout.WORK:
            files.remove(files.join(uri, folder))
    for name, _ in files.entries(files.join(uri, layout.WORK)):
        if f"{layout.WORK}/{name}" != layout.LEASE:
            files.remove(files.join(uri, layout.WORK, name))


def _remove_scratch(uri: str) -> None:
    if files.is_near(uri):  # stores do not use it
        files.remove(files.join(uri, layout.SCRATCH))


def show_commit(output: str, snapshot: Snapshot, commit: Commit, table: pa.Table) -> None:
    """Updates flat folders and views after a commit of a watch, without listing the folder.

    `snapshot` is the generation of the commit, and `table` has the rows of its image tables.
    """
    flat.restore(output, commit)
    views.write(output, snapshot, None, table)
    flat.retire(output, commit, snapshot.files())
    if snapshot.number % CHECKPOINT_EVERY == 0:
        log.write_checkpoint(output, snapshot)
