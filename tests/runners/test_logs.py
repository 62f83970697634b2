"""What is printed of the log."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.command import ROOT

PROGRAM = """
import logging
from beam_mat.runners.logs import printed, quieten, show_all

quieten()
ours, beams = logging.getLogger("beam_mat.watch.steps"), logging.getLogger("apache_beam.runners")
ours.warning("before")
with printed(least=logging.INFO):
    ours.warning("a.zip cannot be read")
    ours.info("taken in")
    ours.debug("details")
    beams.warning("of no use")
ours.warning("after")
show_all()
beams.info("job 1")
"""


def test_our_own_log_is_printed_once_and_beams_only_where_all_is_shown() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    *ours, beams = ran.stderr.splitlines()
    lines = [line.split(" ", 2)[2] for line in ours]
    assert lines == ["WARNING a.zip cannot be read", "INFO taken in"]
    assert beams.endswith("job 1")
