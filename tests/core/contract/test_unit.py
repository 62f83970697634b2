"""Runs of rows: joined unit by unit, they say the same as all rows at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.contract.unit import BATCH, MAX_WORKERS, Runs

STRETCHES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([1, 2, 998, 999, 1000, 1001, 2500])), max_size=6
)


def marks_of(stretches: list[tuple[bool, int]]) -> list[bool]:
    return [mark for mark, length in stretches for _ in range(length)]


@given(STRETCHES, STRETCHES)
def test_joined_runs_are_those_of_the_whole(
    first: list[tuple[bool, int]], second: list[tuple[bool, int]]
) -> None:
    one, two = marks_of(first), marks_of(second)
    assert Runs.of(one).then(Runs.of(two)) == Runs.of(one + two)


def gets_no_type(marks: list[bool], workers: int) -> bool:
    """By the words of the rule: worker by worker, row by row."""
    share, rest = divmod(len(marks), workers)
    begin = 0
    for worker in range(workers):
        end = begin + share + (1 if worker < rest else 0)
        if all(marks[begin : begin + BATCH]) and not all(marks[begin:end]):
            return True
        begin = end
    return False


@given(STRETCHES)
def test_workers_that_get_no_type_are_found(stretches: list[tuple[bool, int]]) -> None:
    marks = marks_of(stretches)
    found = Runs.of(marks).null_workers()
    short = len(marks) // BATCH + 1  # with more workers no share is that long
    assert [n for n in found if n <= short] == [
        n for n in range(1, min(short, MAX_WORKERS) + 1) if gets_no_type(marks, n) and marks
    ]


@given(STRETCHES)
def test_whole_batches_are_found(stretches: list[tuple[bool, int]]) -> None:
    marks = marks_of(stretches)
    whole = [at for at in range(0, len(marks), BATCH) if all(marks[at : at + BATCH])]
    assert Runs.of(marks).whole_batch() == min(whole, default=None)
