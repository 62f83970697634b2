"""The sbatch file on a real Slurm of two nodes, first with a program in the launcher's place.

All that needs Slurm is here: a module stays in one process, so that one Slurm is started.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mat_trainer.core.control import EXIT_SAVED
from mat_trainer.core.errors import MatTrainerError
from mat_trainer.launch import owner
from tests import training
from tests.submit import jobs
from tests.submit.conftest import StandIn
from tests.submit.waiting import ended, job, slurm, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

STEPS = 40
# Short rows without much to look at: seconds, on two cores that four processes share.
SMALL = [
    f"max_steps={STEPS}",
    "logging_steps=1",
    "save_steps=1000",
    "image_max_pixels=3136",
]

# Notes how it was started, then does what a test wants.
RECORDER = """
import json, os, pathlib, signal, sys, time
restart = os.environ.get("SLURM_RESTART_COUNT", "0")
words = sys.argv[1:]
rank = words[words.index("--node-rank") + 1]
note = pathlib.Path(os.environ["NOTES"], f"{restart}-{rank}.json")
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append("USR1"))
partial = note.with_suffix(".partial")
partial.write_text(json.dumps({
    "words": words, "pid": os.getpid(), "job": os.environ["SLURM_JOB_ID"],
    "token": os.environ.get("HF_TOKEN"), "interface": os.environ.get("NCCL_SOCKET_IFNAME"),
    "program": sys.argv[0], "node": os.environ["SLURMD_NODENAME"],
}))
partial.rename(note)
def wait():
    deadline = time.monotonic() + 60
    while not got and time.monotonic() < deadline:
        time.sleep(0.1)
"""


@pytest.fixture
def notes(
    tmp_path: Path, slurm_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, int], dict[str, Any]]:
    """Reads what the recorder of a restart and rank noted; waits for it."""
    folder = tmp_path / "notes"
    folder.mkdir()
    monkeypatch.setenv("NOTES", str(folder))
    monkeypatch.setenv("SLURM_CONF", str(slurm_conf))

    def read(restart: int, rank: int) -> dict[str, Any]:
        note = folder / f"{restart}-{rank}.json"
        until(note.exists, f"{note.name} to be written")
        return dict(json.loads(note.read_text()))

    return read


Notes = Callable[[int, int], "dict[str, Any]"]


def test_each_node_runs_the_launcher_once_with_its_rank_and_the_first_nodes_name(
    tmp_path: Path, notes: Notes, stand_in: StandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in("mat-trainer", RECORDER)
    output = tmp_path / "out put"
    number = _submit(capfd, output, "--set", "max_samples=null", "--set", "run_name=it's $HOME")
    assert ended(number) == ("COMPLETED", "0:0")
    first, second = notes(0, 0), notes(0, 1)
    port = str(20000 + int(number) % 10000)
    common = ["run", "tiny_cpu", "--dataset", "/data/mat", "--output-dir", str(output)]
    common += ["--set", "max_samples=null", "--set", "run_name=it's $HOME"]
    common += ["--resume", "auto", "--nproc-per-node", "1", "--nnodes", "2"]
    common += ["--master-addr", "node0", "--master-port", port]
    assert first["words"] == [*common, "--node-rank", "0"]
    assert second["words"] == [*common, "--node-rank", "1"]
    assert (first["node"], second["node"]) == ("node0", "node1")


def test_a_token_reaches_the_nodes_by_the_environment_alone(
    tmp_path: Path,
    notes: Notes,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_do_not_tell_me")
    stand_in("mat-trainer", RECORDER)
    number = _submit(capfd, tmp_path / "out")
    assert ended(number) == ("COMPLETED", "0:0")
    assert notes(0, 0)["token"] == "hf_do_not_tell_me"
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.name for path in written} == {"job.sbatch", f"slurm-{number}.log"}
    assert not [path for path in written if b"do_not_tell" in path.read_bytes()]


def test_a_job_that_was_submitted_by_a_path_finds_the_command_and_its_variables(
    tmp_path: Path,
    notes: Notes,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    program = stand_in("mat-trainer", RECORDER)
    elsewhere = [
        part for part in os.environ["PATH"].split(os.pathsep) if part != str(program.parent)
    ]
    monkeypatch.setenv("PATH", os.pathsep.join(elsewhere))
    monkeypatch.setattr("sys.argv", [str(program)])
    number = _submit(capfd, tmp_path / "out", "--env", "NCCL_SOCKET_IFNAME=eth0 $x")
    assert ended(number) == ("COMPLETED", "0:0")
    for rank in (0, 1):
        assert notes(0, rank)["program"] == str(program)
        assert notes(0, rank)["interface"] == "eth0 $x"


OWNER = """
import sys
from pathlib import Path
from mat_trainer.core.errors import PreflightError
from mat_trainer.launch.owner import owned
if rank == "0":
    try:
        with owned(Path(words[words.index("--output-dir") + 1])):
            print("owned by", os.environ["SLURM_JOB_ID"], flush=True)
            while not got:
                time.sleep(0.1)
    except PreflightError as error:
        print(error, flush=True)
        sys.exit(4)
"""


def test_a_second_job_in_the_folder_is_told_which_one_has_it(
    tmp_path: Path,
    notes: Notes,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    stand_in("mat-trainer", RECORDER + OWNER)
    output = tmp_path / "out"
    logs = output / "submit"
    first = _submit(capfd, output, "--nodes", "1", "--sbatch=--oversubscribe")
    log = logs / f"slurm-{first}.log"
    until(lambda: log.exists() and "owned by" in log.read_text(), "the first to own it")
    holder = owner.read(output)
    assert holder is not None
    second = _submit(capfd, output, "--nodes", "1", "--sbatch=--oversubscribe")
    assert ended(second) == ("FAILED", "4:0")
    said = (logs / f"slurm-{second}.log").read_text()
    assert f"another run is in this folder (process {holder.process} on " in said
    assert f", Slurm job {first}, since 20" in said
    slurm("scancel", "--signal=USR1", "--batch", first)
    assert ended(first) == ("COMPLETED", "0:0")


def test_a_users_recipe_reaches_the_nodes(
    tmp_path: Path, notes: Notes, stand_in: StandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in("mat-trainer", RECORDER)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("model_name_or_path: /models/mine\ntemplate: qwen2_vl\nstage: sft\n")
    number = _submit(capfd, tmp_path / "out", recipe=str(recipe))
    assert ended(number) == ("COMPLETED", "0:0")
    copied = Path(notes(0, 1)["words"][1])
    assert copied.is_relative_to(tmp_path / "out")
    assert copied.read_text() == recipe.read_text()


def test_a_signal_before_the_time_limit_saves_and_requeues(
    tmp_path: Path, notes: Notes, stand_in: StandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    # The second node ends after the first, which must not be what ends it.
    ending = f"""
if restart == "0":
    wait()
    time.sleep(2 * int(rank))
    print("saved on node", rank, flush=True)
    sys.exit({EXIT_SAVED})
print("resumed on node", rank, flush=True)
"""
    stand_in("mat-trainer", RECORDER + ending)
    number = _submit(capfd, tmp_path / "out")
    first = [notes(0, rank) for rank in (0, 1)]
    # What Slurm does for --signal=B:USR1@…
    slurm("scancel", "--signal=USR1", "--batch", number)
    again = [notes(1, rank) for rank in (0, 1)]
    assert {note["job"] for note in (*first, *again)} == {number}
    assert ended(number) == ("COMPLETED", "0:0")
    log = (tmp_path / "out" / "submit" / f"slurm-{number}.log").read_text()
    said = [line for line in log.splitlines() if " on node " in line]
    assert said[:2] == ["saved on node 0", "saved on node 1"]
    assert sorted(said[2:]) == ["resumed on node 0", "resumed on node 1"]


@pytest.mark.parametrize("code", [1, 4])
def test_what_fails_is_not_requeued_and_its_code_is_the_jobs(
    code: int, tmp_path: Path, notes: Notes, stand_in: StandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in("mat-trainer", f"{RECORDER}\nsys.exit({code})")
    number = _submit(capfd, tmp_path / "out")
    assert ended(number) == ("FAILED", f"{code}:0")


def test_a_cancelled_job_leaves_no_process(
    tmp_path: Path, notes: Notes, stand_in: StandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    stand_in("mat-trainer", RECORDER + "wait()")
    number = _submit(capfd, tmp_path / "out")
    pids = [notes(0, rank)["pid"] for rank in (0, 1)]
    assert all(_lives(pid) for pid in pids)
    slurm("scancel", number)
    assert ended(number)[0] == "CANCELLED"
    until(lambda: not any(_lives(pid) for pid in pids), f"{pids} to end")


def test_what_sbatch_refuses_is_told(
    tmp_path: Path, notes: Notes, stand_in: StandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MatTrainerError, match=r"(?s)nothing was submitted.*invalid partition"):
        _submit(capfd, tmp_path / "out", "--partition", "nowhere")


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


@pytest.mark.worker
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
        return len(_steps(output)) >= 3

    until(trains, "the third step", limit=600)
    # What Slurm does for --signal=B:USR1@…
    slurm("scancel", "--signal=USR1", "--batch", number)
    assert ended(number, limit=600) == ("COMPLETED", "0:0"), said()
    assert "Restarts=1 " in job(number), said()
    # Saved where it was asked to, and taken from there: no step is missing, none done twice.
    saved = [path for path in output.glob("checkpoint-*") if path.name != f"checkpoint-{STEPS}"]
    assert [re.fullmatch(r"checkpoint-\d+", path.name) is not None for path in saved] == [True]
    assert _steps(output) == list(range(1, STEPS + 1))
    results = json.loads((output / "all_results.json").read_text())
    assert 0 < results["train_loss"] < 100
    assert (output / "model.safetensors").stat().st_size > 0


def _steps(output: Path) -> list[int]:
    """The steps that were logged with a loss."""
    log = output / "trainer_log.jsonl"
    if not log.exists():
        return []
    entries = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return [entry["current_steps"] for entry in entries if "loss" in entry]


def _submit(
    capfd: pytest.CaptureFixture[str], output: Path, *words: str, recipe: str = "tiny_cpu"
) -> str:
    fixed = ["--to", "slurm", "--nodes", "2", "--gpus-per-node", "0", "--output-dir", str(output)]
    assert jobs.run(recipe, "--dataset", "/data/mat", *fixed, *words) == 0
    said = capfd.readouterr().out
    matched = re.match(r"submitted as job (\d+)\n", said)
    assert matched, said
    return matched[1]


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        # A zombie has ended; its parent only has not looked yet.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False
