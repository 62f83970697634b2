"""What can be known before the model is loaded: `check` knows it, and `run` says the same."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from .test_run import SHORT, ran, settings

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.usefixtures("warm")]


def faults(command: str, recipe: object, dataset: Path, output: Path, **changes: object) -> str:
    words = ["--dataset", dataset, "--output-dir", output, *SHORT, *settings(**changes)]
    done = ran(command, recipe, *words)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr[done.stderr.index("mat-trainer: ") :]


def recipe(folder: Path, **more: object) -> Path:
    """The tiny recipe as a user's file, with some keys more."""
    text = resources.files("mat_trainer").joinpath("presets/tiny_cpu.yaml").read_text()
    file = folder / "mine.yaml"
    file.write_text(text + "".join(f"{key}: {value}\n" for key, value in more.items()))
    return file


def test_check_and_run_find_the_same_all_at_once(short_dataset: Path, tmp_path: Path) -> None:
    mine = recipe(tmp_path, resume_from_checkpoint="/no/such/checkpoint")
    changes = {
        "report_to": "tensorboard",
        "optim": "adamw_8bit",
        "lr_scheduler_type": "cosine_with_min_lr",
        "flash_attn": "fa2",
    }
    found = [
        faults(command, mine, short_dataset, tmp_path / "out", **changes)
        for command in ("check", "run")
    ]
    assert found[0] == found[1]
    assert found[0].startswith("mat-trainer: 5 preflight errors:")
    for word in (*changes, "resume_from_checkpoint /no/such/checkpoint: is no folder"):
        assert word in found[0]


def test_a_template_of_another_model_is_one_fault(short_dataset: Path, tmp_path: Path) -> None:
    said = faults("check", "tiny_cpu", short_dataset, tmp_path / "out", template="llava")
    assert said.startswith("mat-trainer: 1 preflight error:")
    assert "21 rows fail, the first 20 of them alike: jsonl/" in said
    assert "if template llava is not the model's, choose that one" in said
