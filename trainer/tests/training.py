"""Small real trainings: a few short rows, some steps, nothing that a test does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mat_trainer.core.control import LOG_DIR

MODULE = "mat_trainer.worker.train"


def short_rows(dataset: Path, folder: Path, rows: int = 8) -> Path:
    """The first question and the begin of its answer, from each of the first rows with an image."""
    folder.joinpath("jsonl").mkdir(parents=True)
    found = []
    for part in sorted(dataset.joinpath("jsonl").iterdir()):
        for line in part.read_text().splitlines():
            row = json.loads(line)
            question, answer = row["messages"][:2]
            row["images"] = row["images"][: question["content"].count("<image>")]
            row["messages"] = [question, {**answer, "content": answer["content"][:160]}]
            if len(row["images"]) == 1 and len(question["content"]) < 400:
                found.append(json.dumps({**row, "system": ""}) + "\n")
    assert len(found) >= rows
    folder.joinpath("jsonl", "part.jsonl").write_text("".join(found[:rows]))
    folder.joinpath("dataset_info.json").write_bytes(
        dataset.joinpath("dataset_info.json").read_bytes()
    )
    return folder


def settings(model: Path, rows: Path, media: Path, output: Path, **more: object) -> dict[str, Any]:
    """What LLaMA-Factory needs for a training of seconds on a CPU."""
    return {
        "model_name_or_path": str(model),
        "template": "qwen2_vl",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 4,
        "lora_target": "all",
        "dataset_dir": str(rows),
        "media_dir": str(media),
        "dataset": "mat",
        "cutoff_len": 4096,
        "image_max_pixels": 3136,
        "output_dir": str(output),
        "per_device_train_batch_size": 1,
        "learning_rate": 1e-2,
        "max_steps": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_gradient_checkpointing": True,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        **more,
    }


def write(settings: Mapping[str, Any], file: Path) -> Path:
    """The YAML file; JSON is YAML."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings, indent=1))
    return file


def command(yaml: Path) -> list[str]:
    """What the launcher starts."""
    return [sys.executable, "-m", MODULE, str(yaml)]


def environment(output: Path, **more: object) -> dict[str, str]:
    """What the launcher adds to the environment."""
    return {LOG_DIR: str(output / "logs"), **{name: str(value) for name, value in more.items()}}


def torchrun(output: Path, port: int, nproc: int = 2, **more: object) -> dict[str, str]:
    """The same for several processes of one node; `more` for several nodes."""
    variables = {"FORCE_TORCHRUN": 1, "NPROC_PER_NODE": nproc, "MASTER_PORT": port, **more}
    return environment(output, **variables)


def train(yaml: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Trains to the end, in processes of its own."""
    return subprocess.run(
        command(yaml),
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def log(output: Path) -> list[dict[str, Any]]:
    """The lines of trainer_log.jsonl."""
    lines = output.joinpath("trainer_log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def losses(output: Path) -> dict[int, float]:
    """The loss by step. No step stands there twice."""
    found = [(line["current_steps"], line["loss"]) for line in log(output) if "loss" in line]
    assert len({step for step, _ in found}) == len(found), found
    return dict(found)
