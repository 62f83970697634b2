"""One run at a time in a folder: on this machine, on another, and where there are no locks."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mat_trainer.core.errors import PreflightError
from mat_trainer.launch import owner
from mat_trainer.launch.owner import Owner, owned
from tests.processes import ROOT, wait_for

HOLDS = """
import sys, time
from pathlib import Path
from mat_trainer.launch.owner import owned
with owned(Path(sys.argv[1])) as ownership:
    ownership.code = 3
    print("owned", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners beat often, and are silent for less time."""
    monkeypatch.setattr(owner, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(owner, "SILENCE_SECONDS", 3.0)
    monkeypatch.setattr(owner, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(owner, "_PATIENCE_SECONDS", 0.1)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "SLURM_JOB_ID": "41"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "owned\n"
        yield process
        process.kill()


def refused(folder: Path) -> str:
    with pytest.raises(PreflightError) as caught, owned(folder):
        pass
    return str(caught.value)


def test_another_process_is_named_and_its_end_frees_the_folder(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    for said in (refused(tmp_path), owner.fault(tmp_path) or ""):
        assert f"process {holder.pid} on " in said
        assert "Slurm job 41, since 2" in said
    holder.communicate("")
    assert owner.fault(tmp_path) is None
    left = owner.read(tmp_path)
    assert left is not None
    assert (left.ended, left.code) == (True, 3)
    with owned(tmp_path):
        assert owner.read(tmp_path) != left


def test_a_process_that_is_killed_holds_nothing(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    left = owner.read(tmp_path)
    assert left is not None
    assert not left.ended
    assert owner.fault(tmp_path) is None
    with owned(tmp_path):
        pass


ELSEWHERE = Owner("t", "far", "another boot", 7, "2026-11-28T00:00:00+00:00")


def put(folder: Path, other: Owner) -> None:
    folder.joinpath(owner.NAME).write_bytes(msgspec.json.encode(other).ljust(1024))


def test_an_owner_on_another_machine_lives_while_it_rewrites_its_file(tmp_path: Path) -> None:
    put(tmp_path, ELSEWHERE)
    done = threading.Event()

    def beat() -> None:
        other = ELSEWHERE
        while not done.wait(0.05):
            other = msgspec.structs.replace(other, beat=other.beat + 1)
            put(tmp_path, other)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        assert "process 7 on far" in refused(tmp_path)
        assert "process 7 on far" in (owner.fault(tmp_path) or "")
    finally:
        done.set()
        thread.join()


def test_an_owner_on_another_machine_that_is_silent_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "SILENCE_SECONDS", 0.2)
    put(tmp_path, ELSEWHERE)
    with owned(tmp_path):
        pass


def test_an_owner_that_has_ended_in_order_is_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path, msgspec.structs.replace(ELSEWHERE, ended=True))
    assert owner.fault(tmp_path) is None


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file system without `flock`."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_rewriting_counts(tmp_path: Path) -> None:
    with owned(tmp_path):
        assert f"process {os.getpid()} on " in refused(tmp_path)
        assert f"process {os.getpid()} on " in (owner.fault(tmp_path) or "")
    assert owner.fault(tmp_path) is None


def test_a_run_whose_folder_was_taken_stops(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        with owned(tmp_path):
            put(tmp_path, ELSEWHERE)
            wait_for(lambda: told)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "another run has taken" in capfd.readouterr().err
    assert owner.read(tmp_path) == ELSEWHERE


def test_a_damaged_file_is_none(tmp_path: Path) -> None:
    tmp_path.joinpath(owner.NAME).write_bytes(b"{")
    assert owner.fault(tmp_path) is None
    with owned(tmp_path):
        assert owner.read(tmp_path) is not None
