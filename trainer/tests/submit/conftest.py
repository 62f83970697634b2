"""A real Slurm of two nodes, and programs that stand in for others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SLURM_UP = Path(__file__).resolve().parents[3] / "scripts" / "slurm-up"

StandIn = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def slurm_conf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a Slurm that runs on this machine as node0 and node1."""
    folder = tmp_path_factory.mktemp("slurm")
    # To files: the daemons keep what they are started with, and a pipe would stay open.
    with folder.joinpath("up.log").open("w") as log:
        done = subprocess.run(
            [SLURM_UP, str(folder)], stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False
        )
    said = folder.joinpath("up.log").read_text()
    if done.returncode == 3 and os.environ.get("CI") != "true":
        pytest.skip(said)
    assert done.returncode == 0, said
    try:
        yield folder / "slurm.conf"
    finally:
        subprocess.run([SLURM_UP, "--stop", str(folder)], check=True)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Makes a program of this name, of Python lines, which is found before any other."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(name: str, lines: str) -> Path:
        program = folder / name
        program.write_text(f"#!{sys.executable}\n{lines}")
        program.chmod(0o755)
        return program

    return make
