"""Help and errors in what was typed come at once: neither Beam nor Arrow is imported for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from beam_mat.cli.entry import COMMANDS
from tests.cli.test_command_line import FAULTS
from tests.command import ROOT, spawn

HELPS = [["--help"], ["--version"], [], *([name, "--help"] for name in COMMANDS)]
ALONE = [[name] for name in COMMANDS if name not in ("doctor", "schemas")]
PLACES = ["--json", "no.json", "--images", "no.zip", "--output", "no"]
LOOKED_UP = [
    ["convert", *PLACES, "--max-pixels", "many"],
    ["convert", *PLACES],
    ["watch", *PLACES, "--limit", "3", "--runner", "FlinkRunner"],
    ["watch", *PLACES, "--window", "soon", "--prism_location", "p"],
    ["check", "nowhere", "--model", "gpt", "--cutoff-len", "9"],
    ["check", "nowhere"],
    ["show", "nowhere", "--index", "-1"],
    ["show", "nowhere", "--rejected", "--name", "mat"],
    ["verify", "gs://me:hm@bucket/x"],
]
PROGRAM = """
import json, sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name in ("apache_beam", "pyarrow"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refused())
from beam_mat.cli import main
print(json.dumps([main(words) for words in json.loads(sys.argv[1])]), file=sys.stderr)
"""


def test_help_and_errors_import_neither_beam_nor_arrow() -> None:
    lines = [*HELPS, *ALONE, *(words for words, _ in FAULTS), *LOOKED_UP]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(lines)],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "is imported" not in ran.stderr
    codes = json.loads(ran.stderr.splitlines()[-1])
    for words, code in zip(lines, codes, strict=True):
        assert code == (2 if words and words[-1] not in ("--help", "--version") else 0) or not words


@pytest.mark.parametrize("words", [["--version"], ["convert", "--help"]])
def test_python_m_is_the_same(words: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "beam_mat", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == spawn(*words).out
