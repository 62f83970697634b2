from __future__ import annotations

import math

import pytest

from mat_trainer.status import log as logs
from mat_trainer.status import report
from mat_trainer.status.folder import Folder
from tests.status.entries import line


def folder(*lines: str, last_word: float | None = 1000.0, is_finished: bool = False) -> Folder:
    return Folder(logs.parse(lines), last_word, "checkpoint-20", is_finished)


def facts(lines: list[str]) -> dict[str, str]:
    return {text[:14].strip(): text[14:] for text in lines if text[:1].isalpha()}


LINES = (line(10, 100, loss=2.5, lr=1e-4), line(20, 200, loss=1.25, lr=5e-5), "{")


def test_a_running_run_is_told_in_full() -> None:
    lines = report.report(folder(*LINES), 1010.0, 80)
    assert lines[0] == "████████" + " " * 32 + " 20.0%  step 20 of 100"
    assert facts(lines) == {
        "state": "running",
        "loss": "1.2500, from 2.5000, lowest 1.2500",
        "epoch": "2.00",
        "learning rate": "5e-05",
        "speed": "10 s a step",
        "left": "13:20",
        "checkpoint": "checkpoint-20",
        "log": "1 unreadable line(s) skipped",
    }


def test_a_run_that_says_nothing_is_told_with_how_long() -> None:
    lines = report.report(folder(*LINES), 1000.0 + 3725, 80)
    assert facts(lines)["state"] == "no sign of life for 1:02:05"


def test_a_finished_run_has_nothing_left() -> None:
    told = facts(report.report(folder(*LINES, is_finished=True), 10.0**9, 80))
    assert told["state"] == "finished"
    assert "left" not in told


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_diverged_is_told_with_a_cure(loss: float) -> None:
    told = facts(report.report(folder(*LINES[:2], line(30, 300, loss=loss)), 1010.0, 80))
    assert told["loss"].startswith(f"{loss}: it diverged; lower learning_rate")


def test_nothing_logged_is_no_line() -> None:
    assert report.report(Folder(None, None, None, False), 0.0, 80) == []
    assert report.report(folder("{"), 0.0, 80) == []
