from __future__ import annotations

import math
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mat_trainer.core.errors import MatTrainerError
from mat_trainer.status import log as logs
from mat_trainer.status.plot import plot, smooth
from tests.status.entries import line


def test_a_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="comes with the extra worker")
    lines = [line(step, step, loss=1 / step) for step in range(1, 100)]
    lines += [line(100, 100, loss=math.nan), line(100, 101, eval_loss=0.5)]
    plot(logs.parse(lines), "menus", tmp_path / "loss.png")
    head = (tmp_path / "loss.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (1350, 750)


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="comes with the extra worker")
    log = logs.parse([line(1, 1, loss=1.0), line(2, 2, loss=0.5)])
    with pytest.raises(MatTrainerError, match=r"loss\.png cannot be written: No such file"):
        plot(log, "menus", tmp_path / "nowhere" / "loss.png")


def test_without_matplotlib_it_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MatTrainerError, match="pip install matplotlib"):
        plot(logs.Log(), "menus", tmp_path / "loss.png")


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1), st.integers(0, 60))
def test_a_mean_stays_within_the_values_and_meets_both_ends(
    values: list[float], reach: int
) -> None:
    means = smooth(values, reach)
    assert len(means) == len(values)
    assert (means[0], means[-1]) == (values[0], values[-1])
    assert all(min(values) - 1e-6 <= mean <= max(values) + 1e-6 for mean in means)


def test_a_straight_line_stays_one() -> None:
    assert smooth([1.0, 2.0, 3.0, 4.0, 5.0], 2) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_loss_that_is_no_number_spoils_no_mean_but_its_own() -> None:
    assert smooth([1.0, math.nan, 3.0], 1)[1] == 2.0
    assert math.isnan(smooth([math.nan], 1)[0])
