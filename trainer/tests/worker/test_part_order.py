"""The order in which LLaMA-Factory reads a folder's parts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.worker, pytest.mark.usefixtures("warm")]

# A listing that comes in falling order, as some file system's may: as it is, then sorted.
PROGRAM = """\
import os, sys
listed = os.listdir
os.listdir = lambda folder: sorted(listed(folder), reverse=True)
from llamafactory.data import loader
from mat_trainer.worker import part_order
print(*loader.os.listdir(sys.argv[1]), loader.os.path.isdir(sys.argv[1]))
part_order.sort()
print(*loader.os.listdir(sys.argv[1]), loader.os.path.isdir(sys.argv[1]))
"""


def test_parts_come_by_name(tmp_path: Path) -> None:
    for name in "bca":
        tmp_path.joinpath(name).touch()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-2:] == ["c b a True", "a b c True"]
