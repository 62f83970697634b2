from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from mat_trainer.core.control import EXIT_SAVED
from mat_trainer.submit import skypilot
from mat_trainer.submit.mounts import Mount
from mat_trainer.submit.skypilot import SkyPilot
from tests.submit import jobs
from tests.submit.conftest import StandIn

PYTHON = Path(__file__).resolve().parents[2] / ".venv-skypilot" / "bin" / "python"

# Has SkyPilot itself read each file and tell what it understood. Importing it takes seconds.
READ = """
import json, sys
import sky, yaml
def understood(path):
    task = sky.Task.from_yaml(path)
    # As the command line does for --secret HF_TOKEN.
    config = yaml.safe_load(open(path))
    named = [(name, "value") for name in config.get("secrets", {})]
    given = sky.Task.from_yaml_config(config, secrets_overrides=named)
    (resources,) = task.resources
    return {
        "name": task.name, "nodes": task.num_nodes, "accelerators": resources.accelerators,
        "cpus": resources.cpus, "memory": resources.memory, "infra": resources.infra.to_str(),
        "image": resources.image_id, "recovery": resources.job_recovery,
        "files": task.file_mounts, "secrets": sorted(given.secrets), "run": task.run,
        "setup": task.setup, "spot": resources.use_spot, "envs": task.envs,
        "buckets": {path: [storage.source, storage.mode.value]
                    for path, storage in task.storage_mounts.items()},
    }
print(json.dumps([understood(path) for path in sys.argv[1:]]))
"""

JOB = jobs.changed(cpus=64, memory=500, recipe="mine.yaml", recipe_text="stage: sft\n")
TARGET = SkyPilot(
    accelerator="H100",
    infra="gcp/us-central1",
    mounts=(Mount("gs://bucket", "/shared"),),
    secrets=("HF_TOKEN",),
    setup=("pip install ./mat_trainer.whl",),
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "mine.yaml"
    file.write_text("stage: sft\n")
    return file


@pytest.fixture(scope="module")
def told(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What SkyPilot understood of two tasks: one with GPUs, one with an image and no GPU."""
    bucket, data = Mount("s3://bucket/there", "/shared"), Mount("s3://mat/set", "/data")
    target = SkyPilot(image="registry/image:1", mounts=(bucket, data), spot=True)
    return read(
        tmp_path_factory.mktemp("tasks"),
        skypilot.render(JOB, changed(recipe_path=str(recipe))),
        skypilot.render(
            jobs.changed(gpus=0, nodes=1, environment=(("HTTPS_PROXY", "http://proxy:1"),)), target
        ),
    )


@pytest.mark.slow
def test_skypilot_understands_the_task(told: list[dict[str, Any]], recipe: Path) -> None:
    understood = told[0]
    assert understood["name"] == "menus"
    assert understood["nodes"] == 2
    assert understood["accelerators"] == {"H100": 8}
    assert (understood["cpus"], understood["memory"]) == ("64+", "500+")
    assert understood["infra"] == "gcp/us-central1"
    recovery = understood["recovery"]
    assert recovery["recover_on_exit_codes"] == [EXIT_SAVED]
    assert understood["secrets"] == ["HF_TOKEN"]
    assert understood["setup"].splitlines() == ["pip install ./mat_trainer.whl"]
    assert understood["buckets"] == {"/shared": ["gs://bucket", "MOUNT"]}
    assert (told[0]["spot"], told[1]["spot"]) == (False, True)
    assert told[1]["envs"] == {"HTTPS_PROXY": "http://proxy:1"}
    # A mounted S3 bucket cannot be appended to; a dataset there is only read.
    assert told[1]["buckets"] == {
        "/shared": ["s3://bucket/there", "MOUNT_CACHED"],
        "/data": ["s3://mat/set", "MOUNT"],
    }
    ((there, here),) = understood["files"].items()
    assert here == str(recipe)
    assert f"mat-trainer run {there} " in understood["run"]


@pytest.mark.slow
def test_skypilot_understands_an_image_and_a_job_without_gpus(told: list[dict[str, Any]]) -> None:
    understood = told[1]
    assert understood["accelerators"] is None
    assert "docker:registry/image:1" in understood["image"].values()


def test_each_machine_runs_the_launcher_with_what_skypilot_says(
    tmp_path: Path, stand_in: StandIn
) -> None:
    stand_in("mat-trainer", "import json, sys\nprint(json.dumps(sys.argv[1:]))")
    job = jobs.changed(overrides=("run_name=it's $HOME",))
    script = yaml.safe_load(skypilot.render(job, TARGET))["run"]
    said = {
        "SKYPILOT_NUM_NODES": "2",
        "SKYPILOT_NODE_RANK": "1",
        "SKYPILOT_NODE_IPS": "10.0.0.4\n10.0.0.5",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, **said},
        capture_output=True,
        text=True,
        check=True,
    )
    words = json.loads(done.stdout)
    assert words[:2] == ["run", "qwen2_vl_7b_lora"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options == {
        "--dataset": "gs://bucket/mat",
        "--output-dir": "/shared/menus",
        "--set": "run_name=it's $HOME",
        "--resume": "auto",
        "--nproc-per-node": "8",
        "--nnodes": "2",
        "--node-rank": "1",
        "--master-addr": "10.0.0.4",
        "--master-port": "29500",
    }


def test_secrets_have_a_name_and_no_value() -> None:
    task = yaml.safe_load(skypilot.render(jobs.JOB, TARGET))
    assert task["secrets"] == {"HF_TOKEN": None}


def test_faults_are_told_all_at_once() -> None:
    target = SkyPilot(mounts=(Mount("bucket", "/data"),), secrets=("HF_TOKEN=x",))
    found = skypilot.faults(jobs.JOB, target)
    assert [re.split(r": | is ", fault)[0] for fault in found] == [
        "--output-dir /shared/menus",
        "--mount bucket=/data",
        "--accelerator",
        "--setup",
        "--secret",
    ]
    assert "HF_TOKEN=x" not in "".join(found)  # what is wrong with it may be that it is the value


def changed(**changes: Any) -> SkyPilot:
    return msgspec.structs.replace(TARGET, **changes)


def read(folder: Path, *tasks: str) -> list[dict[str, Any]]:
    if not PYTHON.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{PYTHON} is missing; scripts/setup-skypilot makes it")
        pytest.skip(f"{PYTHON} is missing; scripts/setup-skypilot makes it")
    files = [folder / f"task-{number}.yaml" for number in range(len(tasks))]
    for file, task in zip(files, tasks, strict=True):
        file.write_text(task)
    quiet = {"HOME": str(folder), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1", "HF_TOKEN": "hf_x"}
    done = subprocess.run(
        [PYTHON, "-c", READ, *files],
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))
