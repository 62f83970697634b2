"""What a user types: trainings from a dataset of beam-mat to the last checkpoint."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mat_trainer.core.control import EXIT_SAVED
from tests.processes import wait_for
from tests.training import log, losses
from tests.warm import started_anew

if TYPE_CHECKING:
    from tests.dataset.watched import Watched

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.usefixtures("warm")]

# As recipes of 2025 are written, with keys and values that 0.9.5 refuses or that would hinder.
OLD = """\
model_name_or_path: {model}
image_resolution: 12544
video_resolution: 3136
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all
dataset: my_mat
dataset_dir: /not/here
template: qwen2_vl
cutoff_len: 330
max_samples: 2
overwrite_cache: true
overwrite_output_dir: true
output_dir: saves/old
logging_steps: 1
save_steps: 100
per_device_train_batch_size: 1
gradient_accumulation_steps: 1
learning_rate: 1.0e-2
max_steps: 12
lr_scheduler_type: constant
bf16: false
use_cpu: true
"""


def words(*more: object) -> list[str]:
    return [sys.executable, "-m", "mat_trainer.cli", *(str(word) for word in more)]


def ran(*more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words(*more), capture_output=True, text=True, check=False)


def settings(**changes: object) -> list[str]:
    return [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]


SHORT = settings(cutoff_len=1024, max_samples=4, logging_steps=1)


def test_an_old_recipe_trains_and_its_loss_falls(
    short_dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "old.yaml"
    recipe.write_text(OLD.format(model=tiny_model))
    output = tmp_path / "a folder" / "out"
    done = ran("run", recipe, "--dataset", short_dataset, "--output-dir", output)
    assert done.returncode == 0, done.stdout + done.stderr
    found = losses(output)
    assert sorted(found) == list(range(1, 13))
    assert all(math.isfinite(loss) for loss in found.values())
    begin, end = list(found.values())[:3], list(found.values())[-3:]
    assert statistics.mean(end) < statistics.mean(begin)
    assert "image_max_pixels" in done.stderr
    assert "are longer than cutoff_len 330 and are left out" in done.stderr
    assert output.joinpath("logs", "rank-00000.log").exists()


def test_parquet_on_two_nodes_of_which_one_sees_a_newer_generation(
    short_dataset: Path, tmp_path: Path, free_port: int
) -> None:
    output = tmp_path / "out"
    older, newer = growing(short_dataset, tmp_path / "older"), tmp_path / "newer"
    shutil.copytree(older.folder, newer)
    older.folder, seen = newer, older.folder
    older.commit(remove=["a"])
    rest = ["--output-dir", output, *SHORT]
    nodes = [*rest, *settings(dataset="mat_parquet", max_steps=2), *meeting(free_port)]
    first, second = (
        subprocess.Popen(
            words("run", "tiny_cpu", *nodes, "--node-rank", rank, "--dataset", (seen, newer)[rank]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    )
    with first, second:
        said = [node.communicate()[0] for node in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), "\n".join(said)
    assert "generation   2 of the dataset, as on node 0" in said[1]
    assert "generation   3" not in said[1]
    for node, folder in zip(said, (seen, newer), strict=True):
        assert f"mat_parquet of {folder}@2, 8 rows" in node
    assert "world size: 2" in output.joinpath("logs", "rank-00000.log").read_text()
    assert output.joinpath("logs", "rank-00001.log").exists()
    assert sorted(losses(output)) == [1, 2]
    # Each node of a pair that only believes to be one would have made twice the steps an epoch.
    assert log(output)[0]["epoch"] == pytest.approx(2 / 4)


def growing(dataset: Path, folder: Path) -> Watched:
    """A dataset of two generations of four rows each."""
    from tests.dataset import making
    from tests.dataset.watched import Watched

    rows = making.rows_of(dataset)
    made = Watched(dataset, folder)
    made.commit({"a": rows[:4]})
    made.commit({"b": rows[4:8]})
    return made


def test_a_run_stays_on_its_generation_while_the_dataset_goes_on(
    short_dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    watched = growing(short_dataset, tmp_path / "watched")
    rest = ["--dataset", watched.folder, "--output-dir", output, *SHORT]
    with subprocess.Popen(
        words("run", "tiny_cpu", *rest, *settings(max_steps=2, save_steps=2)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as launcher:
        assert launcher.stdout
        for line in launcher.stdout:
            if line.startswith("generation   2 of the dataset, the newest when this job began"):
                break
        watched.commit(remove=["a", "b"])
        shutil.rmtree(watched.folder / "jsonl")
        said = launcher.stdout.read()
    assert launcher.returncode == 0, said
    assert f"mat of {watched.folder}@2, 8 rows, verified" in said
    assert sorted(losses(output)) == [1, 2]
    again = ran("plan", "tiny_cpu", *rest)
    assert "was begun with generation 2, so the run stays on it; the newest is 3" in " ".join(
        again.stdout.split()
    )
    assert f"dataset       {watched.folder}@2" in ran("status", output).stdout
    rest[1] = f"{watched.folder}@3"
    other = ran("run", "tiny_cpu", *rest, *settings(max_steps=4))
    assert other.returncode == 2
    assert "checkpoints were trained on" in other.stderr


def test_a_node_with_other_settings_is_named_on_both(
    dataset: Path, tmp_path: Path, free_port: int
) -> None:
    rest = ["--dataset", dataset, "--output-dir", tmp_path / "out", *meeting(free_port)]
    first, second = (
        subprocess.Popen(
            words("run", "tiny_cpu", *rest, "--node-rank", rank, *settings(max_steps=2 + rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    )
    with first, second:
        said = [node.communicate()[1] for node in (first, second)]
    assert (first.returncode, second.returncode) == (4, 4), "\n".join(said)
    assert all("has another recipe than node 0" in err for err in said)
    assert not tmp_path.joinpath("out", "logs").exists()


def test_nodes_that_do_not_share_the_output_folder_do_not_begin(
    short_dataset: Path, tmp_path: Path, free_port: int
) -> None:
    first, second = (
        subprocess.Popen(
            words(
                "run", "tiny_cpu", "--dataset", short_dataset, *meeting(free_port),
                "--node-rank", rank, "--output-dir", tmp_path / f"out-{rank}",
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    )  # fmt: skip
    tmp_path.joinpath("out-1").mkdir()
    with first, second:
        said = [node.communicate()[1] for node in (first, second)]
    assert (first.returncode, second.returncode) == (4, 4), "\n".join(said)
    assert all(f"{tmp_path / 'out-1'}: another folder than node 0's" in err for err in said)
    assert [path.name for path in tmp_path.joinpath("out-0").iterdir()] == ["owner.json"]


def test_a_node_that_dies_while_the_dataset_is_staged_is_named(
    short_dataset: Path, tmp_path: Path, free_port: int
) -> None:
    output = tmp_path / "out"
    nodes = ["--dataset", short_dataset, "--output-dir", output, *meeting(free_port)]
    with started_anew():
        first, second = (
            subprocess.Popen(
                words("run", "tiny_cpu", *nodes, "--node-rank", rank),
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in (0, 1)
        )
    with first, second:
        assert second.stderr
        for line in second.stderr:
            if line.startswith("software"):  # the nodes have met
                break
        second.kill()
        said = first.communicate()[1]
    assert first.returncode == 1, said  # another start may have all nodes
    assert re.search(r"node 1( \(.*\))? is lost: node 0 did not hear from it", said)
    assert not output.joinpath("logs").exists()


def meeting(port: int) -> list[object]:
    return ["--nnodes", 2, "--master-addr", own_address(), "--master-port", port]


def own_address() -> str:
    """An address of this machine that is not its loopback's, as several nodes need one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but its loopback's")
        return str(probe.getsockname()[0])


def test_a_run_that_is_asked_to_stop_goes_on_where_it_was(
    short_dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    steps = settings(max_steps=40, save_steps=100)
    rest = ["--dataset", short_dataset, "--output-dir", output, *SHORT, *steps]
    command = words("run", "tiny_cpu", *rest)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as launcher:
        wait_for(output.joinpath("trainer_log.jsonl").exists)
        os.kill(launcher.pid, signal.SIGUSR1)
        said, _ = launcher.communicate()
    assert launcher.returncode == EXIT_SAVED, said
    assert "the same command resumes from it" in said
    (saved,) = output.glob("checkpoint-*")
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"resume       {saved}" in again.stderr
    assert sorted(losses(output)) == list(range(1, 41))


def test_a_stop_before_the_first_step_is_one_to_begin_again(
    short_dataset: Path, tmp_path: Path
) -> None:
    rest = ["--dataset", short_dataset, "--output-dir", tmp_path / "out"]
    with subprocess.Popen(
        words("run", "tiny_cpu", *rest), stderr=subprocess.PIPE, text=True
    ) as launcher:
        assert launcher.stderr
        assert launcher.stderr.readline().startswith("software")
        os.kill(launcher.pid, signal.SIGUSR1)
        said = launcher.stderr.read()
    assert launcher.returncode == EXIT_SAVED, said
    assert "before the first step" in said


def test_a_check_tells_everything_at_once(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(dataset), str(copy)], check=True)
    (part,) = copy.joinpath("jsonl").iterdir()
    part.write_bytes(part.read_bytes()[:-1])
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    done = ran(
        "check", "qwen2_vl_7b_lora", "--dataset", copy, "--output-dir", blocked / "out",
        *settings(model_name_or_path="/no/such/model"),
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "preflight errors:" in done.stderr
    for fault in ("no usable GPU", f"{blocked} is not a folder", "/no/such/model", part.name):
        assert fault in done.stderr


def test_settings_that_only_the_real_parser_refuses(dataset: Path, tmp_path: Path) -> None:
    done = ran(
        "check", "tiny_cpu", "--dataset", dataset, "--output-dir", tmp_path / "out",
        *settings(template="no_such_template"),
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "no_such_template" in done.stderr
    assert not tmp_path.joinpath("out").exists()


def test_a_dataset_without_a_manifest_is_a_fault_of_configuration(tmp_path: Path) -> None:
    tmp_path.joinpath("dataset_info.json").write_text(json.dumps({"mat": {"file_name": "jsonl"}}))
    done = ran("run", "tiny_cpu", "--dataset", tmp_path, "--output-dir", tmp_path / "out")
    assert done.returncode == 2
    assert "no manifest.json" in done.stderr
