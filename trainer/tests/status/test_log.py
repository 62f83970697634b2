from __future__ import annotations

import json
import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mat_trainer.status import log as logs
from mat_trainer.status.log import Entry
from tests.status.entries import line


def test_a_line_of_training_is_read() -> None:
    (entry,) = logs.parse([line(10, 95, loss=1.5, lr=1e-4)]).entries
    assert entry == Entry(10, 100, elapsed=95, loss=1.5, learning_rate=1e-4, epoch=1.0)


def test_training_and_validation_losses_of_a_step_are_both_there() -> None:
    log = logs.parse([line(10, 95, loss=1.5), line(10, 99, eval_loss=1.6), line(20, 200, loss=1.4)])
    assert log.losses == [(10, 1.5), (20, 1.4)]
    assert log.eval_losses == [(10, 1.6)]


@pytest.mark.parametrize(
    "bad",
    [
        '{"current_st',
        "",
        "[]",
        "null",
        "12",
        '{"total_steps": 3}',
        '{"current_steps": "1", "total_steps": 3}',
        '{"current_steps": true, "total_steps": 3}',
        '{"current_steps": -1, "total_steps": 3}',
        '{"current_steps": 1, "total_steps": 3, "loss": "low"}',
        '{"current_steps": 1, "total_steps": 3, "elapsed_time": "soon"}',
        '{"current_steps": 1, "total_steps": 3, "elapsed_time": 7}',
        "[" * 100_000,
        "\N{REPLACEMENT CHARACTER}",
    ],
)
def test_lines_that_are_not_its_own_are_counted_and_skipped(bad: str) -> None:
    log = logs.parse([line(10, 95, loss=1.5), bad, line(20, 190, loss=1.4)])
    assert log.losses == [(10, 1.5), (20, 1.4)]
    assert log.skipped == (1 if bad else 0)


def test_a_loss_that_is_no_number_is_kept() -> None:
    log = logs.parse([line(10, 95, loss=math.nan), line(20, 190, loss=math.inf)])
    assert [str(loss) for _, loss in log.losses] == ["nan", "inf"]
    assert log.skipped == 0


def test_steps_that_were_done_again_show_once_and_as_they_were_last() -> None:
    before = [line(step, step, loss=1.0) for step in (10, 20, 30, 40)]
    again = [line(step, step - 20, loss=2.0) for step in (30, 40, 50)]
    log = logs.parse(before + again)
    assert log.losses == [(10, 1.0), (20, 1.0), (30, 2.0), (40, 2.0), (50, 2.0)]


def test_what_came_after_the_checkpoint_is_gone_as_soon_as_the_run_resumes() -> None:
    before = [line(step, step, loss=1.0) for step in (10, 20, 30, 40)]
    assert logs.parse([*before, line(25, 2, loss=2.0)]).losses == [(10, 1.0), (20, 1.0), (25, 2.0)]


def test_a_step_that_is_done_again_later_on_the_clock_shows_once() -> None:
    # A launch that ended at once, and one that was slow to begin.
    assert logs.parse([line(5, 3, loss=1.0), line(5, 30, loss=2.0)]).losses == [(5, 2.0)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=6))
def test_steps_never_go_back_and_the_last_launch_is_whole(
    launches: list[tuple[int, int]],
) -> None:
    lines, number = [], 0
    for first, count in launches:
        number += 1
        lines += [line(first + at, at, loss=float(number)) for at in range(count)]
    log = logs.parse(lines)
    steps = [step for step, _ in log.losses]
    assert steps == sorted(set(steps))
    first, count = launches[-1]
    assert log.losses[-count:] == [(first + at, float(number)) for at in range(count)]


@settings(deadline=None)
@given(st.integers(0, 10**7))
def test_every_time_that_python_writes_is_read(seconds: int) -> None:
    text = json.dumps(
        {"current_steps": 1, "total_steps": 2, "elapsed_time": str(timedelta(0, seconds))}
    )
    assert logs.parse([text]).entries[0].elapsed == seconds
