"""One generation for a whole job: on every node and at every restart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mat_trainer import cli
from mat_trainer.commands import pinning
from mat_trainer.core import pin as pins
from mat_trainer.core.errors import ConfigError
from mat_trainer.launch.checkpoints import AUTO, NEVER
from mat_trainer.status import folder as folders

if TYPE_CHECKING:
    from tests.dataset.watched import Watched


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def number(typed: object, output: Path, resume: str = AUTO) -> int | None:
    snapshot = pinning.settle(str(typed), str(output), resume).found.snapshot
    return snapshot.number if snapshot else None


def begin(typed: object, output: Path) -> None:
    pinning.keep(output, pinning.settle(str(typed), str(output), AUTO).found)


def save(output: Path) -> None:
    """A checkpoint, as far as it matters here."""
    (output / "checkpoint-10").mkdir(parents=True)


def test_a_new_run_takes_the_newest(watched: Watched, output: Path) -> None:
    settled = pinning.settle(str(watched.folder), str(output), AUTO)
    assert settled.is_open
    assert settled.notices == ()
    assert settled.found.address == f"{watched.folder}@3"


@pytest.mark.parametrize("word", ["", "@latest"])
@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_a_restart_stays_on_what_was_begun_and_says_so(
    watched: Watched, output: Path, has_checkpoint: bool, word: str
) -> None:
    begin(watched.folder, output)
    if has_checkpoint:
        save(output)
    watched.commit(remove=["d"])
    settled = pinning.settle(f"{watched.folder}{word}", str(output), AUTO)
    assert settled.found.snapshot
    assert (settled.found.snapshot.number, settled.is_open) == (3, True)
    (notice,) = settled.notices
    assert "was begun with generation 3" in notice
    assert "the newest is 4" in notice


def test_to_begin_anew_is_to_take_the_newest(watched: Watched, output: Path) -> None:
    begin(watched.folder, output)
    save(output)
    watched.commit(remove=["d"])
    assert number(watched.folder, output, NEVER) == 4


def test_checkpoints_of_another_generation_are_not_gone_on_from(
    watched: Watched, output: Path
) -> None:
    begin(f"{watched.folder}@1", output)
    assert number(f"{watched.folder}@2", output) == 2  # nothing was trained yet
    save(output)
    assert number(f"{watched.folder}@1", output) == 1
    with pytest.raises(ConfigError, match=r"trained on .*@1 .*, but --dataset is .*@2 ") as caught:
        number(f"{watched.folder}@2", output)
    assert len(caught.value.faults) == 1
    assert number(f"{watched.folder}@2", output, NEVER) == 2


def test_nor_with_another_dataset(watched: Watched, dataset: Path, output: Path) -> None:
    begin(dataset, output)
    assert number(dataset, output) is None
    save(output)
    assert number(dataset, output) is None
    with pytest.raises(ConfigError, match="were trained on"):
        number(watched.folder, output)


def test_checkpoints_that_do_not_say_what_they_are_of_are_noticed(
    watched: Watched, output: Path
) -> None:
    save(output)
    (notice,) = pinning.settle(str(watched.folder), str(output), AUTO).notices
    assert "do not say which generation" in notice


def test_another_node_takes_what_the_first_has(
    watched: Watched, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = pinning.settle(str(watched.folder), str(output), AUTO)
    assert pinning.adopt(settled, 3) is settled
    snapshot = pinning.adopt(settled, 2).found.snapshot
    assert snapshot
    assert snapshot.number == 2
    monkeypatch.setattr(pinning, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(ConfigError, match="no such generation"):
        pinning.adopt(settled, 4)


def test_the_status_of_a_run_tells_its_generation(watched: Watched, output: Path) -> None:
    begin(watched.folder, output)
    assert (output / pins.NAME).is_file()
    assert folders.read(output).dataset == f"{watched.folder}@3"


def test_a_plan_tells_the_generation_and_where_it_will_lie(
    watched: Watched, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", "tiny_cpu", "--output-dir", str(output), "--set", "max_samples=null"]
    assert cli.main([*words, "--dataset", f"{watched.folder}@2"]) == 0
    said = unwrapped(capsys.readouterr().out)
    assert f"dataset {watched.folder}@2, entry mat" in said
    assert "12 of 12 are trained on" in said
    assert "/000002-" in said
    begin(f"{watched.folder}@1", output)
    assert cli.main([*words, "--dataset", str(watched.folder)]) == 0
    assert f"dataset {watched.folder}@1, entry mat" in unwrapped(capsys.readouterr().out)


def unwrapped(text: str) -> str:
    """The words alone: a long path goes over the end of the line."""
    return " ".join(text.split())


def test_a_generation_that_is_not_there_is_a_fault_of_configuration(
    watched: Watched, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", "tiny_cpu", "--output-dir", str(output)]
    assert cli.main([*words, "--dataset", f"{watched.folder}@9"]) == 2
    assert "1 configuration error" in capsys.readouterr().err
