"""A training that is killed goes on as if nothing had happened."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from mat_trainer.launch.checkpoints import AUTO, fault, prepare
from tests import training
from tests.processes import Launched, launched, wait_for

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.usefixtures("warm")]
STEPS = 30
SAVE_EACH = 10


def settings(model: Path, rows: Path, media: Path, output: Path) -> dict[str, object]:
    return training.settings(
        model,
        rows,
        media,
        output,
        finetuning_type="full",
        freeze_vision_tower=False,
        learning_rate=3e-3,
        lr_scheduler_type="cosine",
        warmup_ratio=0.1,
        max_steps=STEPS,
        save_strategy="steps",
        save_steps=SAVE_EACH,
    )


@pytest.fixture(scope="module")
def rows(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training.short_rows(dataset, tmp_path_factory.mktemp("rows") / "short", rows=4)


@pytest.fixture(scope="module")
def undisturbed(
    dataset: Path, rows: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    yaml = training.write(settings(tiny_model, rows, dataset, output), output / "plan.yaml")
    done = training.train(yaml, training.environment(output))
    assert done.returncode == 0, done.stderr
    return output


def kill_all(launcher: Launched) -> None:
    """As a machine that is taken away: no process of it has time for anything."""
    for process in [psutil.Process(launcher.process.pid), *launcher.below()]:
        process.send_signal(signal.SIGKILL)


def test_the_loss_falls_on_a_few_rows(undisturbed: Path) -> None:
    losses = list(training.losses(undisturbed).values())
    assert len(losses) == STEPS
    assert all(0 < loss < 20 for loss in losses)
    epoch = 4
    assert sum(losses[-epoch:]) < 0.75 * sum(losses[:epoch])


def test_what_llama_factory_saved_is_whole(undisturbed: Path) -> None:
    folders = sorted(undisturbed.glob("checkpoint-*"))
    assert [folder.name for folder in folders] == [
        "checkpoint-10",
        "checkpoint-20",
        "checkpoint-30",
    ]
    assert [fault(folder) for folder in folders] == [None] * 3


def test_after_kill_9_it_goes_on_to_the_same_end(
    undisturbed: Path, dataset: Path, rows: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    wanted = settings(tiny_model, rows, dataset, output)
    yaml = training.write(wanted, output / "plan.yaml")
    with launched(training.command(yaml), training.environment(output)) as launcher:
        log = output / "trainer_log.jsonl"
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > SAVE_EACH)
        kill_all(launcher)
        assert launcher.ended()[0] == -signal.SIGKILL
    assert (output / "checkpoint-10").exists()
    # The machine went away while the next one was written: what is written last is missing.
    half = output / "checkpoint-29"
    half.mkdir()
    for file in ("model.safetensors", "config.json"):
        half.joinpath(file).write_bytes((output / "checkpoint-10" / file).read_bytes())

    last = prepare(output, AUTO)
    assert last is not None
    assert last.name in ("checkpoint-10", "checkpoint-20")
    step = int(last.name.removeprefix("checkpoint-"))
    assert len(training.losses(output)) == step
    yaml = training.write({**wanted, "resume_from_checkpoint": str(last)}, output / "plan.yaml")
    done = training.train(yaml, training.environment(output))
    assert done.returncode == 0, done.stderr

    assert training.losses(output) == pytest.approx(training.losses(undisturbed), abs=1e-3)
    assert prepare(output, AUTO) == output / "checkpoint-30"
    assert (output / "incomplete-checkpoint-29").exists()
