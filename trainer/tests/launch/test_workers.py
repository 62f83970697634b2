"""What is installed, asked of the interpreter that trains."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from mat_trainer.core.errors import PreflightError
from mat_trainer.launch.workers import software


@pytest.mark.worker
def test_it_finds_what_is_installed_and_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = software()
    names = ("mat-trainer", "llamafactory", "torch", "transformers")
    assert found.versions == {name: importlib.metadata.version(name) for name in names}
    assert found.gpus == 0


def test_an_environment_that_cannot_train_is_told_with_the_cure(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'torch'\" >&2\nexit 1\n"
    )
    python.chmod(0o755)
    with pytest.raises(PreflightError, match=r"No module named 'torch'; install.*\[worker\]"):
        software(str(python))
    with pytest.raises(PreflightError, match="No such file"):
        software(str(tmp_path / "nowhere"))
