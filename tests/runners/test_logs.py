"""What a watch prints of the log."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.command import ROOT

PROGRAM = """
import logging
from beam_mat.runners.logs import printed, quieten

quieten()
ours, beams = logging.getLogger("beam_mat.watch.steps"), logging.getLogger("apache_beam.runners")
ours.warning("before")
with printed(least=logging.INFO):
    ours.warning("a.zip cannot be read")
    ours.info("taken in")
    ours.debug("details")
    beams.warning("of no use")
ours.warning("after")
"""


def test_a_watch_prints_its_own_log_once_and_not_beams() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split(" ", 2)[2] for line in ran.stderr.splitlines()]
    assert lines == ["WARNING a.zip cannot be read", "INFO taken in"]
