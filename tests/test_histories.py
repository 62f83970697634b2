"""Random histories of an output folder, each of which ends as a fresh run does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT

pytestmark = pytest.mark.slow

FIRST = os.environ.get("BEAM_MAT_HISTORY", "0")
"""Seed of the first."""


def histories(*words: object) -> None:
    """Has a process of its own, without threads, go through them."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.histories", "--first", FIRST, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def test_any_history_of_conversions_ends_as_a_fresh_run() -> None:
    histories("--count", 3)


@pytest.mark.prism
def test_any_history_of_conversions_and_watches_ends_as_a_fresh_run(prism: Path) -> None:
    histories("--count", 2, "--prism", prism)
