"""Starting a graph on its runner."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from beam_mat.run import _children_heed_interrupts

CHILD = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"


@pytest.mark.parametrize("inside", [True, False])
def test_children_of_a_background_job_heed_interrupts_while_it_starts(inside: bool) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if inside:
            with _children_heed_interrupts():
                said = subprocess.check_output([sys.executable, "-c", CHILD], text=True)
        else:
            said = subprocess.check_output([sys.executable, "-c", CHILD], text=True)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert said.strip() == str(not inside)
