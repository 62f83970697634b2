"""One output folder for all nodes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mat_trainer.launch import shared_folder


def test_the_same_folder_is_known_by_its_mark_and_left_clean(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "out"
    with shared_folder.marked(folder) as mark:
        assert shared_folder.fault(folder, mark) is None
    assert list(folder.iterdir()) == []


def test_another_folder_is_a_fault_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_folder, "PATIENCE_SECONDS", 0.1)
    other = tmp_path / "other"
    other.mkdir()
    with shared_folder.marked(tmp_path / "out") as mark:
        assert f"{other}: another folder than node 0's" in str(shared_folder.fault(other, mark))
        missing = tmp_path / "missing"
        assert "No such file or directory" in str(shared_folder.fault(missing, mark))


def test_two_runs_have_marks_of_their_own(tmp_path: Path) -> None:
    with shared_folder.marked(tmp_path) as one, shared_folder.marked(tmp_path) as two:
        assert one != two


def test_a_mark_that_shows_late_is_waited_for(tmp_path: Path) -> None:
    late = threading.Timer(1.0, tmp_path.joinpath("mark").touch)
    late.start()
    assert shared_folder.fault(tmp_path, "mark") is None
    late.join()
