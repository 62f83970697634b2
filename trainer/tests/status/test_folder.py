from __future__ import annotations

import os
from pathlib import Path

import pytest

from mat_trainer.core.errors import ConfigError
from mat_trainer.status import folder as folders
from tests.status.entries import line


def write(folder: Path, *lines: str) -> Path:
    file = folder / "trainer_log.jsonl"
    file.write_bytes("\n".join(lines).encode())
    return file


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such folder"):
        folders.read(tmp_path / "nowhere")


def test_a_new_folder_is_empty(tmp_path: Path) -> None:
    assert folders.read(tmp_path) == folders.Folder(None, None, None, False)


def test_the_newest_of_all_logs_is_the_last_word(tmp_path: Path) -> None:
    os.utime(write(tmp_path, line(1, 1)), (1000, 1000))
    ranks = tmp_path / "logs"
    ranks.mkdir()
    for number in (2000, 1500):
        rank = ranks / f"rank-0000{number}.log"
        rank.touch()
        os.utime(rank, (number, number))
    assert folders.read(tmp_path).last_word == 2000


def test_a_character_cut_in_two_costs_one_line(tmp_path: Path) -> None:
    file = write(tmp_path, line(1, 1, loss=1.0))
    with file.open("ab") as opened:
        opened.write('\n{"current_steps": 2, "name": "é'.encode()[:-1])
    log = folders.read(tmp_path).log
    assert log is not None
    assert (log.losses, log.skipped) == ([(1, 1.0)], 1)


def test_the_newest_checkpoint_that_was_written_to_its_end_counts(tmp_path: Path) -> None:
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-11.incomplete", "checkpoint-last"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_text("{}")
    (tmp_path / "checkpoint-12").mkdir()  # no state yet
    assert folders.read(tmp_path).checkpoint == "checkpoint-10"


@pytest.mark.parametrize(
    ("step", "has_results", "is_finished"),
    [(100, True, True), (50, True, False), (100, False, False)],
)
def test_a_run_is_finished_when_all_steps_are_done_and_the_results_written(
    step: int, has_results: bool, is_finished: bool, tmp_path: Path
) -> None:
    write(tmp_path, line(step, 1))
    if has_results:
        (tmp_path / "train_results.json").write_text("{}")
    assert folders.read(tmp_path).is_finished is is_finished
