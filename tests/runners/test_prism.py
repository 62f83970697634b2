"""Prism for as long as a job needs it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import time
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from beam_mat.runners.prism import serving

# Serves at the port that it is told, leaves its process id behind and prints a great deal.
SERVER = """\
#!{python}
import os, signal, socket, sys, time
place = {place!r}
port = int(sys.argv[sys.argv.index("--job_port") + 1])
server = socket.create_server(("127.0.0.1", port))
if {stubborn}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(place, "w").write(str(os.getpid()))
print("x" * 100_000 * 10, flush=True)
time.sleep(600)
"""


def program(folder: Path, text: str) -> Path:
    path = folder / "prism"
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def options_for(path: Path) -> PipelineOptions:
    return PipelineOptions(["--prism_location", str(path)])


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("stubborn", [False, True])
def test_it_serves_while_the_block_lasts_and_is_gone_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stubborn: bool
) -> None:
    monkeypatch.setattr("beam_mat.runners.prism.END_SECONDS", 0.5)
    place = tmp_path / "pid"
    text = SERVER.format(python=sys.executable, place=str(place), stubborn=stubborn)
    options = options_for(program(tmp_path, text))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as for a job in the background
    try:
        with serving(options):
            host, port = str(options.view_as(PortableOptions).job_endpoint).split(":")
            with socket.create_connection((host, int(port)), 5):
                pass
            while not (place.exists() and place.read_text()):
                time.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not lives(int(place.read_text()))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells of signals on Linux")
def test_a_terminals_interrupt_does_not_end_it(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    text = SERVER.format(python=sys.executable, place=str(place), stubborn=False)
    with serving(options_for(program(tmp_path, text))):
        while not (place.exists() and place.read_text()):
            time.sleep(0.01)
        status = Path(f"/proc/{place.read_text()}/status").read_text()
        (ignored,) = (line for line in status.splitlines() if line.startswith("SigIgn:"))
        assert int(ignored.split()[1], 16) >> (signal.SIGINT - 1) & 1
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def test_it_is_gone_after_a_failure(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    text = SERVER.format(python=sys.executable, place=str(place), stubborn=False)
    path = program(tmp_path, text)

    def fail() -> None:
        with serving(options_for(path)):
            while not (place.exists() and place.read_text()):
                time.sleep(0.01)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not lives(int(place.read_text()))


def test_a_program_that_ends_at_once_is_told_with_its_words(tmp_path: Path) -> None:
    path = program(tmp_path, "#!/bin/sh\necho no such flag: --job_port\nexit 3\n")
    with (
        pytest.raises(RuntimeError, match="it printed: no such flag: --job_port"),
        serving(options_for(path)),
    ):
        pytest.fail("it does not serve")


def test_an_endpoint_that_is_there_already_is_used() -> None:
    options = PipelineOptions(["--job_endpoint", "localhost:1"])
    with serving(options):
        assert options.view_as(PortableOptions).job_endpoint == "localhost:1"
