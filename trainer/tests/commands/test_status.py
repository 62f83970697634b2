from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mat_trainer.commands import status
from mat_trainer.core.errors import ConfigError, MatTrainerError
from mat_trainer.launch.owner import owned
from tests.processes import ROOT
from tests.status.entries import line


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    status.add_parser(parser.add_subparsers())
    args = parser.parse_args(["status", *words])
    return int(args.run(args))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "[bold]run"  # what rich would take for markup
    made.mkdir()
    lines = [line(step, step * 2, loss=3 - step / 50) for step in range(10, 60, 10)]
    (made / "trainer_log.jsonl").write_text("\n".join(lines) + "\n")
    return made


def test_a_run_is_shown_without_colour_where_nobody_looks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(folder)) == 0
    said = capsys.readouterr().out
    assert "step 50 of 100" in said
    assert "running" in said
    assert "\x1b" not in said


def test_a_run_that_has_not_begun_is_one_sentence_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(tmp_path)) == 1
    assert capsys.readouterr().out == f"{tmp_path} has nothing in trainer_log.jsonl yet\n"


def test_the_ranks_logs_are_pointed_at_before_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "rank-00000.log").touch()
    assert run(str(tmp_path)) == 1
    assert "the logs of its ranks are in logs/" in capsys.readouterr().out


def test_how_a_launcher_ended_is_told_with_and_without_a_step(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with owned(folder) as ownership:
        ownership.code = 1
        assert run(str(folder)) == 0
        assert "state         running" in capsys.readouterr().out
    assert run(str(folder)) == 0
    said = capsys.readouterr().out
    assert "state         ended: with exit code 1; see the logs of its ranks in logs/" in said
    assert "left" not in said
    with owned(tmp_path / "new"):
        pass
    assert run(str(tmp_path / "new")) == 1
    assert "yet; it ended: before training began; it said why" in capsys.readouterr().out


def test_a_launcher_that_was_killed_is_not_running(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = (
        "import os, pathlib, sys; from mat_trainer.launch.owner import owned; "
        "own = owned(pathlib.Path(sys.argv[1])); own.__enter__(); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program, folder], env=environment, check=False)
    assert run(str(folder)) == 0
    said = capsys.readouterr().out
    assert "state         ended: its launcher, process " in said
    assert "was killed" in said


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        run(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("asked", [True, False])
def test_a_picture_goes_where_it_is_asked_for(
    asked: bool, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="comes with the extra worker")
    path = tmp_path / "curve.png" if asked else folder / "loss.png"
    assert run(str(folder), "--plot", *([str(path)] if asked else [])) == 0
    assert path.is_file()
    assert str(path) in capsys.readouterr().out


def test_a_picture_of_nothing_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "trainer_log.jsonl").write_text(line(1, 1, loss=1.0) + "\n")
    with pytest.raises(MatTrainerError, match="fewer than two losses"):
        run(str(tmp_path), "--plot")
    assert not (tmp_path / "loss.png").exists()
