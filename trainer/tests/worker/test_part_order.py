"""The order in which LLaMA-Factory reads a folder's parts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.worker

# A listing that comes in falling order, as some file system's may.
PROGRAM = """\
import os, sys
listed = os.listdir
os.listdir = lambda folder: sorted(listed(folder), reverse=True)
from mat_trainer.worker import part_order
if sys.argv[2] == "sorted":
    part_order.sort()
from llamafactory.data import loader
print(*loader.os.listdir(sys.argv[1]), loader.os.path.isdir(sys.argv[1]))
"""


@pytest.mark.parametrize(("how", "said"), [("sorted", "a b c True"), ("as it is", "c b a True")])
def test_parts_come_by_name(tmp_path: Path, how: str, said: str) -> None:
    for name in "bca":
        tmp_path.joinpath(name).touch()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), how],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == said
