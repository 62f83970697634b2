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
from beam_mat.dataset import fingerprint, flat, lease, log, pending, vacuum, views
from beam_mat.dataset import manifest as manifests
from beam_mat.dataset.commit import CHECKPOINT_EVERY, Commit, Content, Made, Snapshot
from beam_mat.dataset.lease import Lease
from beam_mat.dataset.state import TABLE, Action, Command, Facts, State, action_of, state_of
from beam_mat.dataset.views import Report
from beam_mat.storage import files


class Dataset:
    """An output folder that is open for writing.

    Attributes:
        uri: URI of the folder.
        state: Its state when it was opened.
        action: What the command does in this state.
        snapshot: The newest generation.
        pending: The conversion that was started but not committed, or None.
    """

    def __init__(self, uri: str, command: Command, held: Lease, report: Report | None) -> None:
        self.uri = uri
        self._command = command
        self._lease = held
        self._report = report
        for folder in _OURS:
            files.refuse_links(files.join(uri, folder), uri)
        self.pending = pending.read(uri)
        facts, self.snapshot = look(uri, has_pending=self.pending is not None)
        self.state, self.action = state_of(facts), action_of(facts, command)
        self._next = max(facts.newest, facts.viewed) + 1

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
        """Opens an output folder for writing for the duration of the block.

        Args:
            uri: URI of the folder. It need not exist.
            command: The command that opens it.
            say: Is called with a message if acquiring the lease takes long.
            report: Writes report.html.
            busy: Raises OutputInUseError if a service still writes to the folder.
            overwrite: Whether to empty a folder that this version cannot read.

        Raises:
            OutputInUseError: Another run writes to the folder.
            ConfigError: The command is not possible in the state of the folder.
        """
        action = TABLE[State.EMPTY][command]
        if action in _REFUSED and not files.exists(uri):
            raise ConfigError([f"{uri}: {_REFUSED[action]}"])  # the lease would create the folder
        with lease.held(uri, say) as held:
            if busy:
                busy(uri)
            try:
                dataset = cls(uri, command, held, report)
            except ConfigError:
                if not overwrite:
                    raise
                clear(uri)
                dataset = cls(uri, command, held, report)
            dataset._recover()
            yield dataset

    def _recover(self) -> None:
        """Completes the work of a killed run, as far as the command needs it."""
        if fault := _REFUSED.get(self.action):
            raise ConfigError([f"{self.uri}: {fault}"])
        made = self.snapshot.made
        if self.pending and made and self.pending.fingerprint == made.fingerprint:
            # A run was killed between its commit and the removal of job.json.
            self._remove_pending()
            if self.action is Action.COMMIT:
                self.action = Action.CONTINUE
        known = self.state in (State.CURRENT, State.BEHIND)
        behind = self.action is Action.CONTINUE and self.state is State.BEHIND
        if self._command in (Command.WATCH, Command.VACUUM) or behind:
            # A watch discards an unfinished conversion and its files. A vacuum first moves files
            # that a killed watch has not moved.
            self._check_lost(flat.arrange(self.uri, self.snapshot, keep=known))
        if behind:
            views.write(self.uri, self.snapshot, self._report)
        if self._command is Command.WATCH:
            self._remove_pending()

    def _remove_pending(self) -> None:
        pending.remove(self.uri)
        self.pending = None

    def _check_lost(self, lost: Sequence[str]) -> None:
        if lost:
            more = f" (and {len(lost) - 1:,} more)" if len(lost) > 1 else ""
            raise ConfigError(
                [
                    f"{files.join(self.uri, lost[0])}: is missing{more}; restore it, or recreate "
                    "it with beam-mat convert"
                ]
            )

    def is_made_by(self, job: Job, keep: int | None) -> bool:
        """Returns whether the folder has the dataset of a job, by inputs and configuration.

        Versions of packages do not count: a complete dataset stays complete.

        Args:
            job: The job.
            keep: How many generations the job keeps, or None for all.
        """
        made = self.snapshot.made
        return (
            self.state is State.CURRENT
            and made is not None
            and (made.command, made.keep) == (Command.CONVERT, keep)
            and made.configuration == fingerprint.configuration(job.settings, job.limit)
            and [one.shard for one in self.snapshot.ordered_shards()] == list(job.shards)
            and self.snapshot.ordered_sources() == list(job.sources)
        )

    def differences(self, settings: Settings, limit: int | None) -> list[str]:
        """Returns why a job cannot continue the dataset: one sentence per option or version."""
        there = self.snapshot.made or self.pending
        if there is None:
            return []
        now = fingerprint.configuration(settings, limit), fingerprint.made_by(settings)
        return fingerprint.differences(self.uri, now, (there.configuration, there.made_by))

    def clear(self) -> None:
        """Removes everything except the lease, to start over."""
        clear(self.uri)
        self.snapshot, self.pending, self.state = Snapshot(), None, State.EMPTY
        self.action, self._next = Action.BEGIN, 1

    def begin(self, job: Job, keep: int | None) -> None:
        """Records that a conversion was started, and removes the views.

        From now on the flat folders may have files that belong to no generation.
        """
        _remove_scratch(self.uri)
        pending.write(job, keep)
        views.withdraw(self.uri)

    @property
    def next(self) -> int:
        """The number of the next commit."""
        return self._next

    def commit(self, made: Made, content: Content) -> Snapshot:
        """Commits a conversion, and updates the views.

        Makes no commit if the dataset has exactly this content already.

        Args:
            made: How it was made.
            content: The new content of the dataset.

        Raises:
            OutputInUseError: Another run writes to the folder.
        """
        self._lease.check()
        before = self.snapshot
        fresh = self.state is State.EMPTY
        if before.made != made or not before.is_content(content):
            restart = self.state is State.DAMAGED or self._next != before.number + 1
            self.snapshot = Snapshot() if restart else before.copy()
            number = self._next if restart else None
            if not log.append(self.uri, self.snapshot, made, content, number):
                raise OutputInUseError(
                    f"{self.uri}: another run has committed generation {self._next}; run the same "
                    "command again"
                )
            self._next = self.snapshot.number + 1
        if content.mixes or not fresh:  # mixing leaves parts that it has replaced
            if made.keep == 1 and not fresh:
                # The vacuum removes the other files, after the commits that name them.
                self._check_lost(flat.complete(self.uri, self.snapshot))
            else:
                self._check_lost(flat.arrange(self.uri, self.snapshot, keep=made.keep != 1))
        self._vacuum(fresh=fresh, keep=made.keep)
        views.write(self.uri, self.snapshot, self._report)
        self._remove_pending()
        _remove_scratch(self.uri)
        return self.snapshot

    def _vacuum(self, *, fresh: bool, keep: int | None) -> None:
        unreadable = self.state is State.DAMAGED and keep != 1
        if fresh or keep is None or unreadable:
            return
        stay = vacuum.kept(self.uri, keep)
        # In a sound dataset only images that a table names can be garbage.
        images = vacuum.listed_images(self.uri) if self.state is State.CURRENT else None
        garbage = vacuum.find(self.uri, stay, images)
        vacuum.remove(self.uri, stay, garbage)


_OURS = (
    *layout.FLAT_FOLDERS,
    layout.IMAGES,
    layout.GENERATIONS,
    layout.REPLACED,
    layout.WORK,
)
"""Folders in which files are written and removed. None of them may contain a link."""

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


def look(uri: str, *, has_pending: bool) -> tuple[Facts, Snapshot]:
    """Returns facts about an output folder, and its newest generation.

    Raises:
        ConfigError: This version cannot read the folder.
    """
    there = log.numbers(uri)
    manifest = manifests.read(uri)
    snapshot, whole = Snapshot(), True
    try:
        snapshot = log.snapshot(uri)
    except log.MissingCommitError:
        whole = False
    empty = not (there.newest or manifest or has_pending)
    facts = Facts(
        newest=there.newest,
        whole=whole,
        viewed=manifest.generation if manifest else 0,
        pending=has_pending,
        holds_files=empty and _holds_files(uri),
    )
    return facts, snapshot


def _holds_files(uri: str) -> bool:
    held = (f"{layout.LEASE}/", f"{layout.SCRATCH}/")
    return any(not name.startswith(held) for name, _ in files.find(uri, follow=True))


def clear(uri: str) -> None:
    """Removes all files of this package below an output folder, except the lease."""
    views.withdraw(uri)
    for folder in (layout.GENERATIONS, *layout.FLAT_FOLDERS, layout.REPLACED, layout.IMAGES):
        files.remove(files.join(uri, folder))
    for name, _ in files.entries(files.join(uri, layout.WORK)):
        if f"{layout.WORK}/{name}" != layout.LEASE:
            files.remove(files.join(uri, layout.WORK, name))


def _remove_scratch(uri: str) -> None:
    if files.is_near(uri):  # stores do not use it
        files.remove(files.join(uri, layout.SCRATCH))


def show_commit(output: str, snapshot: Snapshot, commit: Commit, table: pa.Table) -> None:
    """Updates flat folders and views after a commit of a watch, without listing the folder.

    Args:
        output: URI of the output folder.
        snapshot: The newest generation.
        commit: Its commit.
        table: The rows of its image tables.
    """
    flat.restore(output, commit)
    views.write(output, snapshot, None, table)
    flat.retire(output, commit, snapshot.files())
    if snapshot.number % CHECKPOINT_EVERY == 0:
        log.write_checkpoint(output, snapshot)
