"""The states of an output folder, and the action of each command in each state."""

from __future__ import annotations

from enum import Enum

import msgspec


class Facts(msgspec.Struct, frozen=True):
    """Facts about an output folder.

    Attributes:
        newest: The newest generation of the log, or 0.
        whole: Whether no commit of it is missing.
        viewed: The generation of manifest.json, or 0 if there is none.
        pending: Whether a conversion was started but not committed.
        holds_files: Whether there are files other than the lease and scratch files.
    """

    newest: int = 0
    whole: bool = True
    viewed: int = 0
    pending: bool = False
    holds_files: bool = False


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
    """It updates the views if necessary, and continues from the newest generation."""
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


_C, _W, _P, _V = Command.CONVERT, Command.WATCH, Command.PUBLISH, Command.VACUUM

TABLE: dict[State, dict[Command, Action]] = {
    State.EMPTY: {
        _C: Action.BEGIN,
        _W: Action.BEGIN,
        _P: Action.REFUSE_EMPTY,
        _V: Action.REFUSE_EMPTY,
    },
    State.LEFTOVERS: {
        _C: Action.RESUME,
        _W: Action.RESUME,
        _P: Action.REFUSE_EMPTY,
        _V: Action.REFUSE_EMPTY,
    },
    State.STARTED: {
        _C: Action.RESUME,
        _W: Action.RESUME,
        _P: Action.COMMIT,
        _V: Action.REFUSE_PENDING,
    },
    State.CURRENT: {
        _C: Action.RESUME,
        _W: Action.CONTINUE,
        _P: Action.CONTINUE,
        _V: Action.CONTINUE,
    },
    State.BEHIND: {
        # Files of the newest generation may be missing: a conversion writes them again.
        _C: Action.RESUME,
        _W: Action.CONTINUE,
        _P: Action.CONTINUE,
        _V: Action.CONTINUE,
    },
    State.DAMAGED: {
        _C: Action.RESTART,
        _W: Action.REFUSE_DAMAGED,
        _P: Action.REFUSE_DAMAGED,
        _V: Action.REFUSE_DAMAGED,
    },
}
"""The actions if no conversion is pending, except in `STARTED`."""


def action_of(facts: Facts, command: Command) -> Action:
    """Returns the action of a command.

    If a dataset has a pending conversion, ``publish`` commits it, ``convert`` continues it,
    ``watch`` discards it, and ``vacuum`` refuses to run.
    """
    state = state_of(facts)
    if facts.pending and state in (State.CURRENT, State.BEHIND, State.DAMAGED):
        if command is Command.PUBLISH:
            return Action.COMMIT
        if command is Command.VACUUM:
            return Action.REFUSE_PENDING
    return TABLE[state][command]
