"""The table of states and commands, row by row. The expected actions are written out here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.dataset.state import TABLE, Action, Command, Facts, State, action_of, state_of

CONVERT, WATCH = Command.CONVERT, Command.WATCH
PUBLISH, VACUUM = Command.PUBLISH, Command.VACUUM

EMPTY = Facts()
LEFTOVERS = Facts(holds_files=True)
STARTED = Facts(pending=True)
CURRENT = Facts(newest=3, viewed=3)
BEHIND = Facts(newest=3, viewed=2)
NO_VIEW = Facts(newest=3, viewed=0)
NO_COMMIT = Facts(newest=3, viewed=3, whole=False)
NO_LOG = Facts(newest=0, viewed=3)


def pending(facts: Facts) -> Facts:
    """The same, with a conversion that was started and is not committed."""
    return Facts(facts.newest, facts.whole, facts.viewed, True, facts.holds_files)


def committed(facts: Facts) -> Facts:
    """The same, with a conversion that was started and made the newest generation."""
    return Facts(facts.newest, facts.whole, facts.viewed, True, committed=True)


ROWS = [
    (EMPTY, State.EMPTY, CONVERT, Action.BEGIN),
    (EMPTY, State.EMPTY, WATCH, Action.BEGIN),
    (EMPTY, State.EMPTY, PUBLISH, Action.REFUSE_EMPTY),
    (EMPTY, State.EMPTY, VACUUM, Action.REFUSE_EMPTY),
    (LEFTOVERS, State.LEFTOVERS, CONVERT, Action.RESUME),
    (LEFTOVERS, State.LEFTOVERS, WATCH, Action.RESUME),
    (LEFTOVERS, State.LEFTOVERS, PUBLISH, Action.REFUSE_EMPTY),
    (LEFTOVERS, State.LEFTOVERS, VACUUM, Action.REFUSE_EMPTY),
    (STARTED, State.STARTED, CONVERT, Action.RESUME),
    (STARTED, State.STARTED, WATCH, Action.RESUME),
    (STARTED, State.STARTED, PUBLISH, Action.COMMIT),
    (STARTED, State.STARTED, VACUUM, Action.REFUSE_PENDING),
    (CURRENT, State.CURRENT, CONVERT, Action.RESUME),
    (CURRENT, State.CURRENT, WATCH, Action.CONTINUE),
    (CURRENT, State.CURRENT, PUBLISH, Action.CONTINUE),
    (CURRENT, State.CURRENT, VACUUM, Action.CONTINUE),
    (pending(CURRENT), State.CURRENT, CONVERT, Action.RESUME),
    (pending(CURRENT), State.CURRENT, WATCH, Action.CONTINUE),
    (pending(CURRENT), State.CURRENT, PUBLISH, Action.COMMIT),
    (pending(CURRENT), State.CURRENT, VACUUM, Action.REFUSE_PENDING),
    (BEHIND, State.BEHIND, CONVERT, Action.RESUME),
    (BEHIND, State.BEHIND, WATCH, Action.UPDATE),
    (BEHIND, State.BEHIND, PUBLISH, Action.UPDATE),
    (BEHIND, State.BEHIND, VACUUM, Action.UPDATE),
    (NO_VIEW, State.BEHIND, CONVERT, Action.RESUME),
    (NO_VIEW, State.BEHIND, WATCH, Action.UPDATE),
    (NO_VIEW, State.BEHIND, PUBLISH, Action.UPDATE),
    (NO_VIEW, State.BEHIND, VACUUM, Action.UPDATE),
    (pending(BEHIND), State.BEHIND, CONVERT, Action.RESUME),
    (pending(BEHIND), State.BEHIND, WATCH, Action.UPDATE),
    (pending(BEHIND), State.BEHIND, PUBLISH, Action.COMMIT),
    (pending(BEHIND), State.BEHIND, VACUUM, Action.REFUSE_PENDING),
    (pending(NO_VIEW), State.BEHIND, CONVERT, Action.RESUME),
    (pending(NO_VIEW), State.BEHIND, WATCH, Action.UPDATE),
    (pending(NO_VIEW), State.BEHIND, PUBLISH, Action.COMMIT),
    (pending(NO_VIEW), State.BEHIND, VACUUM, Action.REFUSE_PENDING),
    (committed(CURRENT), State.CURRENT, CONVERT, Action.RESUME),
    (committed(CURRENT), State.CURRENT, WATCH, Action.CONTINUE),
    (committed(CURRENT), State.CURRENT, PUBLISH, Action.CONTINUE),
    (committed(CURRENT), State.CURRENT, VACUUM, Action.REFUSE_PENDING),
    (committed(NO_VIEW), State.BEHIND, CONVERT, Action.RESUME),
    (committed(NO_VIEW), State.BEHIND, WATCH, Action.UPDATE),
    (committed(NO_VIEW), State.BEHIND, PUBLISH, Action.UPDATE),
    (committed(NO_VIEW), State.BEHIND, VACUUM, Action.REFUSE_PENDING),
    (NO_COMMIT, State.DAMAGED, CONVERT, Action.RESTART),
    (NO_COMMIT, State.DAMAGED, WATCH, Action.REFUSE_DAMAGED),
    (NO_COMMIT, State.DAMAGED, PUBLISH, Action.REFUSE_DAMAGED),
    (NO_COMMIT, State.DAMAGED, VACUUM, Action.REFUSE_DAMAGED),
    (NO_LOG, State.DAMAGED, CONVERT, Action.RESTART),
    (NO_LOG, State.DAMAGED, WATCH, Action.REFUSE_DAMAGED),
    (NO_LOG, State.DAMAGED, PUBLISH, Action.REFUSE_DAMAGED),
    (NO_LOG, State.DAMAGED, VACUUM, Action.REFUSE_DAMAGED),
    (pending(NO_COMMIT), State.DAMAGED, CONVERT, Action.RESTART),
    (pending(NO_COMMIT), State.DAMAGED, WATCH, Action.REFUSE_DAMAGED),
    (pending(NO_COMMIT), State.DAMAGED, PUBLISH, Action.COMMIT),
    (pending(NO_COMMIT), State.DAMAGED, VACUUM, Action.REFUSE_PENDING),
]


def _name(row: tuple[Facts, State, Command, Action]) -> str:
    facts, state, command, _ = row
    extra = ", committed" if facts.committed else ", pending" if facts.pending else ""
    return f"{state.value} at {facts.newest}, shows {facts.viewed}{extra}: {command.value}"


@pytest.mark.parametrize(("facts", "state", "command", "action"), ROWS, ids=map(_name, ROWS))
def test_a_row(facts: Facts, state: State, command: Command, action: Action) -> None:
    assert state_of(facts) is state
    assert action_of(facts, command) is action


def test_every_row_of_the_table_has_a_test() -> None:
    tested = {(state, command) for _, state, command, _ in ROWS}
    assert tested == {(state, command) for state in State for command in Command}
    assert TABLE.keys() == set(State)
    assert all(row.keys() == set(Command) for row in TABLE.values())


FACTS = st.builds(
    Facts,
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@given(FACTS, st.sampled_from(Command))
def test_every_combination_of_facts_has_a_state_and_an_action(
    facts: Facts, command: Command
) -> None:
    assert state_of(facts) in State
    action = action_of(facts, command)
    assert action in Action
    if not (facts.newest or facts.viewed or facts.pending or not facts.whole):
        assert action in (Action.BEGIN, Action.RESUME, Action.REFUSE_EMPTY)
    if command is CONVERT:
        assert not action.value.startswith("refuse"), "a conversion always helps"
    if action in (Action.CONTINUE, Action.UPDATE):
        assert facts.whole
        assert facts.newest >= facts.viewed
