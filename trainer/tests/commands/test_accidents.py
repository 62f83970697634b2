"""Ordinary accidents in an output folder, with real trainings of the tiny model."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mat_trainer.launch import checkpoints, owner
from tests.commands.conftest import make
from tests.conftest import sample_source
from tests.once import once
from tests.processes import wait_for
from tests.training import losses
from tests.warm import started_anew

from .test_run import SHORT, ran, settings, words

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.usefixtures("warm")]


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file with its time of change and a hash of its content."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def other_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same records once more, converted anew."""
    source = sample_source(tmp_path_factory)
    return once(tmp_path_factory, "other-short", lambda folder: make(source, folder))


@pytest.fixture(scope="module")
def finished(short_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run of two steps. Not to be changed."""
    output = tmp_path_factory.mktemp("finished") / "out"
    done = ran("run", "tiny_cpu", *rest(short_dataset, output))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"next         mat-trainer status {output}" in done.stderr
    assert f"llamafactory-cli chat --model_name_or_path {output} --template qwen2_vl" in done.stderr
    return output


def rest(dataset: Path, output: Path, **changes: object) -> list[object]:
    steps = settings(**{"max_steps": 2, "save_steps": 1, **changes})
    return ["--dataset", dataset, "--output-dir", output, *SHORT, *steps]


def test_a_finished_run_is_finished_already_and_nothing_is_touched(
    finished: Path, short_dataset: Path
) -> None:
    before = state(finished)
    for command in ("run", "check"):
        done = ran(command, "tiny_cpu", *rest(short_dataset, finished))
        assert done.returncode == 0, done.stdout + done.stderr
        assert (
            f"finished     already: {finished} has the trained model" in done.stdout + done.stderr
        )
    assert "finished already" in ran("plan", "tiny_cpu", *rest(short_dataset, finished)).stdout
    # What happens beside training is no other run.
    done = ran("run", "tiny_cpu", *rest(short_dataset, finished, logging_steps=2)[:-4])
    assert "finished     already" in done.stderr
    assert state(finished) == before


@pytest.mark.parametrize("command", ["run", "check", "plan"])
def test_another_run_in_the_folder_is_refused_with_each_setting(
    finished: Path, short_dataset: Path, command: str
) -> None:
    before = state(finished)
    changed = {
        "learning_rate": 5e-4,
        "per_device_train_batch_size": 2,
        "finetuning_type": "lora",
        "lora_rank": 4,
        "weight_decay": 0.1,
    }
    done = ran(command, "tiny_cpu", *rest(short_dataset, finished, **changed))
    assert done.returncode == 2, done.stdout + done.stderr
    for sentence in (
        "learning_rate was 0.001 and is 0.0005",
        "per_device_train_batch_size was 1 and is 2",
        'finetuning_type was "full" and is "lora"',
        "lora_rank was 8 and is 4",
        "weight_decay was 0.0 and is 0.1",
        "--resume never",
    ):
        assert sentence in done.stderr
    assert state(finished) == before


def test_another_dataset_is_refused(
    finished: Path, short_dataset: Path, other_dataset: Path, tmp_path: Path
) -> None:
    before = state(finished)
    for command in ("run", "check"):
        done = ran(command, "tiny_cpu", *rest(other_dataset, finished))
        assert done.returncode == 2, done.stdout + done.stderr
        assert f"trained on {short_dataset}" in done.stderr
        assert f"--dataset is {other_dataset}" in done.stderr
    # A copy is the same dataset.
    shutil.copytree(short_dataset, tmp_path / "copy")
    done = ran("run", "tiny_cpu", *rest(tmp_path / "copy", finished))
    assert "finished     already" in done.stderr
    assert state(finished) == before


def test_more_steps_go_on_with_a_word_about_the_learning_rate_and_save_as_asked(
    finished: Path, short_dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    shutil.copytree(finished, output)
    output.joinpath(owner.NAME).unlink()
    more = rest(short_dataset, output, max_steps=6, save_steps=3)
    done = ran("run", "tiny_cpu", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "max_steps was 2 and is 6" in done.stderr
    assert "its learning rate jumps" in done.stderr
    assert sorted(losses(output)) == [1, 2, 3, 4, 5, 6]
    # transformers would have gone on to save after each step, as the checkpoint says.
    saved = {path.name for path in output.glob("checkpoint-*")}
    assert saved == {"checkpoint-1", "checkpoint-2", "checkpoint-3", "checkpoint-6"}
    assert "finished     already" in ran("run", "tiny_cpu", *more).stderr


def test_fewer_steps_than_the_checkpoint_has_are_refused(
    finished: Path, short_dataset: Path
) -> None:
    before = state(finished)
    for command in ("check", "run"):
        done = ran(command, "tiny_cpu", *rest(short_dataset, finished, max_steps=1))
        assert done.returncode == 4, done.stdout + done.stderr
        assert "checkpoint-2 is at step 2, and these settings end at step 1" in done.stderr
    after = state(finished)
    assert {**after, owner.NAME: None} == {**before, owner.NAME: None}


def test_training_anew_keeps_the_earlier_checkpoints_whatever_the_limit(
    finished: Path, short_dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    shutil.copytree(finished, output)
    kept = state(output / "checkpoint-2")
    more = [*rest(short_dataset, output, save_total_limit=1), "--resume", "never"]
    done = ran("run", "tiny_cpu", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in output.glob("checkpoint-*")] == ["checkpoint-2"]
    assert state(output / "earlier-checkpoint-2") == kept
    assert output.joinpath("earlier-checkpoint-1").exists()
    # A name of the user's own would be rotated too.
    output.joinpath("checkpoint-1-best").mkdir()
    done = ran("check", "tiny_cpu", *more)
    assert done.returncode == 4
    assert "also checkpoint-1-best; rename it" in done.stderr


def test_a_model_without_a_checkpoint_has_a_way_on(short_dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    more = rest(short_dataset, output, max_steps=1, save_strategy="'no'")
    assert ran("run", "tiny_cpu", *more).returncode == 0
    assert not list(output.glob("checkpoint-*"))
    assert "finished     already" in ran("run", "tiny_cpu", *more).stderr
    longer = rest(short_dataset, output, max_steps=2, save_strategy="'no'")
    for command in ("check", "run"):
        done = ran(command, "tiny_cpu", *longer)
        assert done.returncode == 4, done.stdout + done.stderr
        assert "has model.safetensors but no checkpoint to resume from" in done.stderr
        assert "overwrite_output_dir" not in done.stderr
    done = ran("run", "tiny_cpu", *longer, "--resume", "never")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(losses(output)) == [1, 2]


@pytest.fixture
def training(short_dataset: Path, tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A long run with a checkpoint, started as users start it."""
    output = tmp_path / "out"
    few = {"save_steps": 2, "save_total_limit": 2}
    command = words("run", "tiny_cpu", *rest(short_dataset, output, max_steps=10_000, **few))
    with (
        started_anew(),
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as launcher,
    ):
        try:
            wait_for(lambda: [*output.glob("checkpoint-*")] or launcher.poll() is not None)
            assert launcher.poll() is None, launcher.stderr and launcher.stderr.read()
            yield output, launcher
        finally:
            launcher.terminate()
            launcher.communicate()


def test_a_second_run_in_the_folder_is_told_who_has_it_until_that_ends(
    training: tuple[Path, subprocess.Popen[str]], short_dataset: Path
) -> None:
    output, launcher = training
    more = rest(short_dataset, output, max_steps=10_000)
    for command in ("run", "check"):
        done = ran(command, "tiny_cpu", *more)
        assert done.returncode == 4, done.stdout + done.stderr
        assert f"process {launcher.pid} on {socket.gethostname()}, since 20" in done.stderr
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    assert ranks
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    # What it started does not train on, unseen.
    psutil.wait_procs(ranks, timeout=600)
    assert not any(rank.is_running() and rank.status() != "zombie" for rank in ranks)
    assert owner.fault(output) is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 60 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine does not mount: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_up_is_told_and_once_there_is_room_the_run_goes_on(
    short_dataset: Path, small_disk: Path
) -> None:
    output, ballast = small_disk / "out", small_disk / "ballast"
    more = rest(short_dataset, output, max_steps=12, save_steps=1)
    free = shutil.disk_usage(small_disk).free
    ballast.write_bytes(bytes(free - 26_000_000))  # room for some checkpoints of 3.5 MB
    done = ran("run", "tiny_cpu", *more)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"disk +--output-dir .*: the next checkpoint needs 0.02 GB, and", done.stderr)
    for command in ("check", "run", "run"):  # and at every further start, until there is room
        done = ran(command, "tiny_cpu", *more)
        assert done.returncode == 4, done.stdout + done.stderr
        assert "the next checkpoint needs 0.02 GB, and 0.00 GB are free on its disk" in done.stderr
        assert "delete what is never loaded again: " in done.stderr
        assert f"{output}/checkpoint-" in done.stderr
        assert "Traceback" not in done.stderr
    ballast.unlink()
    done = ran("run", "tiny_cpu", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resume       " in done.stderr
    assert sorted(losses(output)) == list(range(1, 13))
    assert len(list(output.glob("incomplete-checkpoint-*"))) == 1


def test_a_first_checkpoint_that_cannot_fit_is_told_before_training(
    short_dataset: Path, small_disk: Path
) -> None:
    free = shutil.disk_usage(small_disk).free
    small_disk.joinpath("ballast").write_bytes(bytes(free - 10_000_000))
    for command in ("check", "run"):
        done = ran(command, "tiny_cpu", *rest(short_dataset, small_disk / "out"))
        assert done.returncode == 4, done.stdout + done.stderr
        assert "the next checkpoint needs at least 0.02 GB, and 0.01 GB are free" in done.stderr


def test_a_port_in_use_is_replaced_on_one_node(
    short_dataset: Path, tmp_path: Path, free_port: int
) -> None:
    """Two processes, so that torchrun listens at the port."""
    more = rest(short_dataset, tmp_path / "out", max_steps=1, save_strategy="'no'")
    with socket.create_server(("", free_port)):
        two = ["--nproc-per-node", 2, "--master-port", free_port]
        done = ran("run", "tiny_cpu", *more, *two)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(
        rf"port +\d+, since process {os.getpid()} \(.*\) uses {free_port}", done.stderr
    )
    assert "world size: 2" in (tmp_path / "out" / "logs" / "rank-00000.log").read_text()


def test_a_real_checkpoint_with_zeros_inside_falls_back_to_the_one_before(
    finished: Path, short_dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    for name in ("model.safetensors", "optimizer.pt", "rng_state.pth", "scheduler.pt"):
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(finished, output)
        assert checkpoints.fault(output / "checkpoint-2") is None
        file = output / "checkpoint-2" / name
        data = bytearray(file.read_bytes())
        middle = len(data) // 2
        data[middle - 64 : middle + 64] = bytes(128)
        file.write_bytes(data)
        assert checkpoints.fault(output / "checkpoint-2") == f"has a damaged {name}"
    more = rest(short_dataset, output, max_steps=3)
    done = ran("run", "tiny_cpu", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checkpoint-2 has a damaged scheduler.pt: renamed to incomplete-checkpoint-2" in (
        done.stderr
    )
    assert f"resume       {output}/checkpoint-1" in done.stderr
    assert sorted(losses(output)) == [1, 2, 3]
