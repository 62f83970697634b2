"""LLaMA-Factory really trains on two nodes of a real Slurm, is asked to stop, and goes on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests import training
from tests.submit import jobs
from tests.submit.waiting import ended, job, slurm, until

pytestmark = [pytest.mark.slurm, pytest.mark.worker, pytest.mark.slow]

STEPS = 40
# Short rows without much to look at: seconds, on two cores that four processes share.
SMALL = [
    f"max_steps={STEPS}",
    "logging_steps=1",
    "save_steps=1000",
    "image_max_pixels=3136",
]


@pytest.fixture
def short(dataset: Path, tmp_path: Path) -> Path:
    """The dataset with few and short rows, and a manifest that says so."""
    folder = training.short_rows(dataset, tmp_path / "short")
    for name in ("images", "images.parquet"):
        folder.joinpath(name).symlink_to(dataset / name)
    manifest = json.loads((dataset / "manifest.json").read_text())
    part = folder / "jsonl" / "part.jsonl"
    data = part.read_bytes()
    manifest["parts"] = [
        {
            **manifest["parts"][0],
            "path": "jsonl/part.jsonl",
            "format": "jsonl",
            "split": "train",
            "rows": data.count(b"\n"),
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    ]
    folder.joinpath("manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_preempted_training_goes_on_where_it_was(
    slurm_conf: Path,
    short: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(slurm_conf))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    output = tmp_path / "out"
    words = ["tiny_cpu", "--dataset", str(short), "--output-dir", str(output)]
    words += ["--to", "slurm", "--nodes", "2", "--gpus-per-node", "0"]
    assert jobs.run(*words, *(word for text in SMALL for word in ("--set", text))) == 0
    matched = re.match(r"submitted as job (\d+)\n", capfd.readouterr().out)
    assert matched
    number = matched[1]

    def said() -> str:
        log = output / "submit" / f"slurm-{number}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def trains() -> bool:
        assert "JobState=FAILED" not in job(number), said()
        return len(steps(output)) >= 3

    until(trains, "the third step", limit=300)
    # What Slurm does for --signal=B:USR1@…
    slurm("scancel", "--signal=USR1", "--batch", number)
    assert ended(number, limit=400) == ("COMPLETED", "0:0"), said()
    assert "Restarts=1 " in job(number), said()
    # Saved where it was asked to, and taken from there: no step is missing, none done twice.
    saved = [path for path in output.glob("checkpoint-*") if path.name != f"checkpoint-{STEPS}"]
    assert [re.fullmatch(r"checkpoint-\d+", path.name) is not None for path in saved] == [True]
    assert steps(output) == list(range(1, STEPS + 1))
    results = json.loads((output / "all_results.json").read_text())
    assert 0 < results["train_loss"] < 100
    assert (output / "model.safetensors").stat().st_size > 0


def steps(output: Path) -> list[int]:
    """The steps that were logged with a loss."""
    log = output / "trainer_log.jsonl"
    if not log.exists():
        return []
    entries = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return [entry["current_steps"] for entry in entries if "loss" in entry]
