from __future__ import annotations

import pytest

from mat_trainer.status import log as logs
from mat_trainer.status.log import Log
from mat_trainer.status.progress import Progress, progress, seems_alive
from tests.status.entries import line


def test_an_empty_log_tells_nothing() -> None:
    assert progress(Log()) is None


def test_one_entry_tells_the_step_and_no_speed() -> None:
    reached = progress(logs.parse([line(10, 95, loss=1.0)]))
    assert reached == Progress(10, 100)
    assert reached.seconds_left is None
    assert reached.fraction == 0.1


def test_the_speed_is_that_between_entries() -> None:
    # What comes before the first entry, compilation for example, does not count.
    log = logs.parse([line(10, 500, loss=1.0), line(20, 520, loss=1.0), line(30, 540, loss=1.0)])
    reached = progress(log)
    assert reached == Progress(30, 100, seconds_per_step=2.0, interval=20)
    assert reached.seconds_left == 140.0


def test_after_a_resume_only_this_launch_counts() -> None:
    slow = [line(step, step * 60, loss=1.0) for step in (10, 20, 30, 40)]
    fast = [line(step, (step - 40) * 3, loss=1.0) for step in (50, 60)]
    reached = progress(logs.parse(slow + fast))
    assert reached is not None
    # LLaMA-Factory itself would tell 60 s / 60 steps * 40 steps.
    assert reached.seconds_left == 120.0


def test_the_end_has_no_time_left() -> None:
    reached = progress(logs.parse([line(90, 90, loss=1.0), line(100, 100, loss=1.0)]))
    assert reached is not None
    assert (reached.fraction, reached.seconds_left) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("interval", "silence", "is_alive"),
    [(None, 119, True), (None, 121, False), (60, 299, True), (60, 301, False), (1, 100, True)],
)
def test_a_run_seems_alive_for_some_intervals(
    interval: float | None, silence: float, is_alive: bool
) -> None:
    reached = Progress(10, 100, interval=interval)
    assert seems_alive(reached, silence) is is_alive


def test_before_the_first_entry_it_is_given_two_minutes() -> None:
    assert seems_alive(None, 100)
    assert not seems_alive(None, 200)
