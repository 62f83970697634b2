"""The states of an output folder, and the action of each command in each state."""

from enum import Enum

import msgspec


class Facts(msgspec.Struct, frozen=True):
    """Facts about an output folder.

    Attributes:
        newest: The newest generation of the log, or 0.
        whole: Whether no commit of it is missing.
        viewed: The generation of manifest.json, or 0.
        pending: Whether there is a job.json.
        holds_files: Whether there are files other than the lease and scratch files.
        committed: Whether job.json made the newest generation: its run was killed after the commit.
    """

    newest: int = 0
    whole: bool = True
    viewed: int = 0
    pending: bool = False
    holds_files: bool = False
    committed: bool = False


class State(str, Enum):
    """The states of an output folder."""

    EMPTY = "empty"
    """The folder is empty or does not exist."""
    LEFTOVERS = "leftovers"
    """There are files, but there is no commit, and no conversion was started."""
    STARTED = "started"
    """A conversion was started, and there is no commit."""
    CURRENT = "current"
    """The views show the newest generation."""
    BEHIND = "behind"
    """The views do not show the newest generation: a run was killed, or files were deleted."""
    DAMAGED = "damaged"
    """A commit is missing, but the manifest or another commit needs it."""


class Action(str, Enum):
    """The action of a command."""

    BEGIN = "begin"
    """It starts in an empty folder."""
    RESUME = "resume"
    """It starts, and uses the existing work results."""
    CONTINUE = "continue"
    """It continues from the newest generation."""
    UPDATE = "update"
    """Like `CONTINUE`, but it first updates the views."""
    RESTART = "restart"
    """Like `RESUME`, but the next commit builds on no other."""
    COMMIT = "commit"
    """It commits the conversion that was started."""
    REFUSE_EMPTY = "refuse: there is no dataset"
    REFUSE_PENDING = "refuse: a conversion is not finished"
    REFUSE_DAMAGED = "refuse: a commit is missing"


class Command(str, Enum):
    """The commands that write to an output folder."""

    CONVERT = "convert"
    WATCH = "watch"
    PUBLISH = "publish"
    VACUUM = "vacuum"


def state_of(facts: Facts) -> State:
    """Returns the state of an output folder."""
    if not facts.whole or facts.viewed > facts.newest:
        return State.DAMAGED
    if facts.newest:
        return State.CURRENT if facts.viewed == facts.newest else State.BEHIND
    if facts.pending:
        return State.STARTED
    return State.LEFTOVERS if facts.holds_files else State.EMPTY


def _row(*actions: Action) -> dict[Command, Action]:
    return dict(zip(Command, actions, strict=True))


TABLE = {
    # The columns are the commands in their order: convert, watch, publish and vacuum.
    State.EMPTY: _row(Action.BEGIN, Action.BEGIN, Action.REFUSE_EMPTY, Action.REFUSE_EMPTY),
    State.LEFTOVERS: _row(Action.RESUME, Action.RESUME, Action.REFUSE_EMPTY, Action.REFUSE_EMPTY),
    State.STARTED: _row(Action.RESUME, Action.RESUME, Action.COMMIT, Action.REFUSE_PENDING),
    State.CURRENT: _row(Action.RESUME, Action.CONTINUE, Action.CONTINUE, Action.CONTINUE),
    # Files of the newest generation may be missing: a conversion writes them again.
    State.BEHIND: _row(Action.RESUME, Action.UPDATE, Action.UPDATE, Action.UPDATE),
    State.DAMAGED: _row(
        Action.RESTART, Action.REFUSE_DAMAGED, Action.REFUSE_DAMAGED, Action.REFUSE_DAMAGED
    ),
}
"""The actions if no conversion is pending, except in `STARTED`."""


def action_of(facts: Facts, command: Command) -> Action:
    """Returns the action of a command.

    If a dataset has a pending conversion, ``publish`` commits it, ``convert`` continues it,
    ``watch`` discards it, and ``vacuum`` refuses to run.
    """
    if facts.pending and command is Command.PUBLISH and not facts.committed:
        return Action.COMMIT
    if facts.pending and command is Command.VACUUM:
        return Action.REFUSE_PENDING
    return TABLE[state_of(facts)][command]
