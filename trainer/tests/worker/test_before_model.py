"""What LLaMA-Factory and transformers find after the model is loaded is found before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import training
from tests.processes import ROOT
from tests.warm import started_anew

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.usefixtures("warm")]


@pytest.fixture(scope="module")
def rows(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training.short_rows(dataset, tmp_path_factory.mktemp("rows") / "short")


@pytest.fixture
def verdict(rows: Path, dataset: Path, tiny_model: Path, tmp_path: Path) -> Any:
    """What is said of the settings of a small training with some changes."""

    def ask(environment: dict[str, str] | None = None, **changes: object) -> dict[str, Any]:
        settings = training.settings(tiny_model, rows, dataset, tmp_path / "out", **changes)
        settings = {key: value for key, value in settings.items() if value is not None}
        yaml = training.write(settings, tmp_path / "it.yaml")
        done = subprocess.run(
            [sys.executable, "-m", "mat_trainer.worker.parse", str(yaml)],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return ask


def test_what_trains_has_no_fault(verdict: Any) -> None:
    assert verdict() == {"rejected": "", "faults": []}
    assert verdict(report_to=None)["faults"] == []
    assert verdict(optim="adafactor", lr_scheduler_type="warmup_stable_decay")["faults"] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"report_to": "wandb"}, ("report_to: wandb", "requires wandb to be installed")),
        ({"report_to": "tensorboard"}, ("report_to: tensorboard", "set report_to to none")),
        ({"report_to": ["mlflow"]}, ("report_to: mlflow", "set report_to to none")),
        ({"report_to": "wandbb"}, ("report_to: wandbb is not known", "tensorboard")),
        ({"quantization_bit": 4}, ("quantization_bit: 4", "bitsandbytes")),
        ({"quantization_bit": 8}, ("quantization_bit: 8", "bitsandbytes")),
        ({"optim": "adamw_8bit"}, ("optim: adamw_8bit", "bitsandbytes")),
        ({"optim": "paged_lion_8bit"}, ("optim: paged_lion_8bit", "bitsandbytes")),
        ({"optim": "galore_adamw"}, ("optim: galore_adamw", "galore_torch")),
        ({"optim": "schedule_free_adamw"}, ("optim: schedule_free_adamw", "schedulefree")),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, ("cosine_with_min_lr", "min_lr")),
        ({"flash_attn": "fa2"}, ("flash_attn: fa2", "not installed", "without a word")),
    ],
)
def test_each_is_one_sentence_with_its_key(
    verdict: Any, changes: dict[str, object], words: tuple[str, ...]
) -> None:
    found = verdict(**changes)
    assert found["rejected"] == ""
    (fault,) = found["faults"]
    assert all(word in fault for word in words), fault


def test_a_schedule_with_its_arguments_is_taken(verdict: Any) -> None:
    kwargs = {"min_lr_rate": 0.1}
    assert (
        verdict(lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs=kwargs)["faults"] == []
    )


# As far as transformers' callback needs it.
WANDB = """
import importlib.machinery
__version__ = "0.22.0"
run = None
"""


@pytest.fixture
def with_wandb(tmp_path: Path) -> dict[str, str]:
    """An environment in which a package of this name is installed, and a home without keys."""
    package = tmp_path / "site" / "wandb"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text(WANDB)
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}",
        "HOME": str(home),
        "WANDB_MODE": "",
        "WANDB_API_KEY": "",
    }


@pytest.mark.parametrize("asked", ["wandb", None])
def test_wandb_without_a_key(verdict: Any, with_wandb: dict[str, str], asked: str | None) -> None:
    with started_anew():
        (fault,) = verdict(with_wandb, report_to=asked)["faults"]
        assert "no key for it on this machine" in fault
        assert ("report_to is not set" in fault) is (asked is None)


def test_wandb_with_a_key_or_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mat_trainer.worker.before_model import wandb_fault

    monkeypatch.setenv("HOME", str(tmp_path))
    for key in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(key, raising=False)
    assert wandb_fault()
    for key, value in (("WANDB_MODE", "offline"), ("WANDB_API_KEY", "k" * 40)):
        monkeypatch.setenv(key, value)
        assert wandb_fault() is None
        monkeypatch.delenv(key)
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine other.host login user password secret\n")
    netrc.chmod(0o600)
    assert wandb_fault()
    netrc.write_text(f"machine api.wandb.ai login user password {'k' * 40}\n")
    assert wandb_fault() is None


def test_a_cache_of_datasets_that_cannot_be_written(verdict: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with started_anew():  # the library reads the variable once
        (fault,) = verdict({"HF_DATASETS_CACHE": str(blocked / "datasets")})["faults"]
    assert f"{blocked}/datasets: Not a directory" in fault
    assert "set HF_HOME" in fault


def test_a_full_cache_of_datasets(verdict: Any, rows: Path, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine does not mount: {done.stderr}")
    try:
        size = rows.joinpath("jsonl", "part.jsonl").stat().st_size
        folder.joinpath("ballast").write_bytes(bytes((64 << 10) - size // 2 // 4096 * 4096))
        with started_anew():
            (fault,) = verdict({"HF_DATASETS_CACHE": str(folder)})["faults"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert f"{folder}: the library datasets needs 0.00 GB at least" in fault
