"""Where a watch finds Prism, and Prism for as long as a job needs it.

A process that dies ends the job, even if Beam waits for it forever.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import apache_beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.prism_runner import PrismJobServer

from beam_mat.core.errors import ConfigError, SourceError, WorkerLostError
from beam_mat.core.job import PRISM
from beam_mat.runners import local
from beam_mat.runners.choose import given
from beam_mat.runners.local import serving, with_prism

CACHED = f"apache_beam-v{apache_beam.__version__}-prism-linux-amd64"

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
    monkeypatch.setattr("beam_mat.runners.local.END_SECONDS", 0.5)
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


def test_its_death_ends_a_block_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.05)
    place = tmp_path / "pid"
    text = SERVER.format(python=sys.executable, place=str(place), stubborn=False)
    options = options_for(program(tmp_path, text))

    def kill() -> None:
        with serving(options):
            while not (place.exists() and place.read_text()):
                time.sleep(0.01)
            os.kill(int(place.read_text()), signal.SIGKILL)
            time.sleep(20)

    with pytest.raises(WorkerLostError, match=r"Prism died \(exit code -9\)"):
        kill()


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


def written(path: Path, says: str = "-job_port int") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Prism."""
    monkeypatch.delenv("PRISM", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(local, "CHECKOUT", tmp_path / "checkout")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_the_first_place_that_has_it_is_used(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = bare / ".apache_beam/cache/prism/bin" / CACHED
    for path, where in (
        (cached, "from Beam's cache"),
        (bare / "checkout/.cache/prism/prism", "built by scripts/prism"),
        (bare / "bin/prism", "from PATH"),
        (bare / "mine", "from the variable PRISM"),
    ):
        written(path)
        if path.name == "mine":
            monkeypatch.setenv("PRISM", str(path))
        beam, used = with_prism(["--job_name=x"])
        assert given(beam, "runner") == PRISM
        assert given(beam, "prism_location") == str(path)
        assert given(beam, "job_name") == "x"
        assert used == f"Using Prism at {path} ({where})"


@pytest.mark.usefixtures("bare")
def test_without_any_beam_downloads_it() -> None:
    beam, used = with_prism([])
    assert beam == (f"--runner={PRISM}",)
    assert used.startswith("Prism was not found on this machine; Beam downloads it to ")


def test_another_program_of_the_name_is_passed_over(bare: Path) -> None:
    written(bare / "bin/prism", "a photo viewer")
    built = written(bare / "checkout/.cache/prism/prism")
    assert given(with_prism([])[0], "prism_location") == str(built)


def test_a_variable_that_names_another_program_is_an_error(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(bare / "bin/prism")
    monkeypatch.setenv("PRISM", str(bare / "nowhere"))
    with pytest.raises(ConfigError, match=r"PRISM=.*nowhere: this is not Beam's Prism"):
        with_prism([])


@pytest.mark.parametrize(
    "beam",
    [
        ("--prism_location=/mine",),
        ("--runner=PrismRunner", "--prism_location=/mine"),
        ("--runner=DataflowRunner",),
        ("--runner=PrismRunner", "--job_endpoint=localhost:1"),
    ],
)
def test_what_the_user_says_wins(bare: Path, beam: tuple[str, ...]) -> None:
    written(bare / "bin/prism")
    assert with_prism(beam) == (beam, "")


def test_beams_cache_is_where_beam_has_it() -> None:
    assert str(local.beams_cache()) == PrismJobServer.BIN_CACHE


def lose_worker(said: str, error: Exception | None) -> None:
    """A worker ends as Beam says it, and then Beam raises an error, or waits forever."""

    def wait() -> None:
        raise RuntimeError(said)

    with local.watched():
        thread = threading.Thread(target=wait, name="run_worker_1")
        thread.start()
        thread.join()
        if error:
            raise error
        threading.Event().wait(20)


def test_a_killed_worker_ends_a_block_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(local, "_descendants", list)
    handler, hook = signal.getsignal(signal.SIGUSR1), threading.excepthook
    with pytest.raises(WorkerLostError, match=r"died \(.*-9\); see whether"):
        lose_worker("Worker subprocess exited with return code -9", None)
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert threading.excepthook is hook


def test_a_killed_worker_explains_the_error_of_beam_but_not_one_of_ours() -> None:
    killed = "Worker subprocess exited with return code 137"
    with pytest.raises(WorkerLostError):
        lose_worker(killed, RuntimeError("Beam noticed"))
    with pytest.raises(SourceError):
        lose_worker(killed, SourceError("a.zip: cannot be read"))


def test_a_worker_that_ends_with_an_error_has_said_why() -> None:
    with pytest.raises(RuntimeError, match="the reason"):
        lose_worker("Worker subprocess exited with return code 1", RuntimeError("the reason"))


def test_a_worker_that_beam_has_forgotten_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam waits for a worker that connects only after the end of the job, and never tells it."""
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.05)
    sleeping = subprocess.Popen(["sleep", "1000"])
    monkeypatch.setattr(local, "_descendants", lambda: [sleeping.pid])
    kind = worker_handlers.SubprocessSdkWorkerHandler
    before = kind.stop_worker

    def wait() -> None:
        if sleeping.wait():
            raise RuntimeError(f"Worker subprocess exited with return code {sleeping.returncode}")

    with local.watched():
        handler = kind.__new__(kind)
        handler.worker_thread = threading.Thread(target=wait, name="run_worker_1")
        handler.worker_thread.start()
        handler.stop_worker()
    assert sleeping.returncode == -signal.SIGKILL
    assert kind.stop_worker is before
