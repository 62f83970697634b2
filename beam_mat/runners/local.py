"""Local runners: finds, starts and ends Prism, and ends a job that has lost a process.

Beam can start Prism too, but ends it with an interrupt and a sleep of a second, and Prism would
inherit from a job in the background that interrupts are ignored. If a person, or a system that is
short of memory, kills Prism or a worker process, Beam may wait for it forever. Beam is imported by
`serving`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beam_mat.core.errors import BeamMatError, ConfigError, WorkerLostError
from beam_mat.core.job import PRISM
from beam_mat.runners.choose import given, installed_version

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

CHECKOUT = Path(__file__).resolve().parents[2]
ANSWER_SECONDS = 10
START_SECONDS = 60.0
END_SECONDS = 5.0
_TEN_YEARS = 10 * 365 * 86400
GRACE_SECONDS = 5.0
"""How long to wait for Beam to notice."""

_EXIT_CODE = re.compile(r"-?\d+$")
_SIGNALLED = 128
"""Shells report a signal as this exit code or a higher one; Python as a negative code."""


def with_prism(beam: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Adds ``--runner`` and ``--prism_location`` to Beam's options, and says which Prism is used.

    Options that name another runner or a place for Prism are returned as they are, with "". Raises
    a ConfigError if $PRISM names a program that is not Prism.
    """
    named = given(beam, "prism_location") or given(beam, "job_endpoint")
    asked = (given(beam, "runner") or "DirectRunner").lower()
    if named or asked not in ("direct", "directrunner", "prism", "prismrunner"):
        return tuple(beam), ""
    by_runner = (*beam, f"--runner={PRISM}")
    variable = os.environ.get("PRISM")
    for path, how in candidates():
        if is_prism(path):
            used = f"Using Prism at {path} ({how})"
            return (*by_runner, f"--prism_location={path}"), used
        if path == variable:
            fault = f"PRISM={variable}: this is not Beam's Prism; correct the variable, or unset it"
            raise ConfigError([f"{fault} to have Prism searched for"])
    return by_runner, (
        f"Prism was not found on this machine; Beam downloads it to {beams_cache()} unless it is "
        "there"
    )


def candidates() -> Iterator[tuple[str, str]]:
    """Programs that may be Prism, with how they were found, the first choice first."""
    if variable := os.environ.get("PRISM"):
        yield variable, "from the variable PRISM"
    if on_path := shutil.which("prism"):
        yield on_path, "from PATH"
    for folder in dict.fromkeys((CHECKOUT, Path.cwd())):
        if built := shutil.which(folder / ".cache" / "prism" / "prism"):
            yield str(built), "built by scripts/prism"
    for path in sorted(beams_cache().glob(f"*v{installed_version('apache-beam')}-*"), reverse=True):
        if shutil.which(path):
            yield str(path), "from Beam's cache"


def beams_cache() -> Path:
    """The folder where Beam keeps the Prism that it downloads: `PrismJobServer.BIN_CACHE`."""
    return Path("~/.apache_beam/cache/prism/bin").expanduser()


def is_prism(path: str) -> bool:
    """Whether the program is Prism: it cannot print its version, and others have its name."""
    try:
        ran = subprocess.run([path, "-h"], capture_output=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"job_port" in ran.stdout + ran.stderr


def lost(what: str, hint: str = "") -> WorkerLostError:
    """The error for a process that was killed, and what to do about it."""
    return WorkerLostError(
        f"{what}; see whether memory ran out{hint}, and run the same command again, which resumes"
    )


@contextlib.contextmanager
def serving(options: PipelineOptions) -> Iterator[None]:
    """Runs Prism until the block ends, and points `options` to it, unless they name an endpoint.

    Raises a RuntimeError if Prism does not start, and a WorkerLostError in the block if it dies.
    """
    from apache_beam.options.pipeline_options import PortableOptions
    from apache_beam.runners.portability.prism_runner import PrismJobServer

    portable = options.view_as(PortableOptions)
    if portable.job_endpoint:
        yield
        return
    command, endpoint = PrismJobServer(options).subprocess_cmd_and_endpoint()
    # A terminal would send Ctrl-C to Prism too. This process ends it when it no longer needs it.
    with handling(signal.SIGINT, signal.SIG_IGN):
        process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    printed = deque[bytes](maxlen=50)
    over = threading.Event()

    def died() -> WorkerLostError:
        return lost(f"Prism died (exit code {process.poll()})")

    def read() -> None:
        assert process.stdout is not None
        with process.stdout:
            printed.extend(process.stdout)
        if not over.wait(GRACE_SECONDS):
            interrupt()

    with interruptible(died) as interrupt:
        reader = threading.Thread(target=read, name="prism", daemon=True)
        reader.start()
        try:
            if not _starts(process, endpoint):
                over.set()
                process.kill()
                reader.join()
                text = b"".join(printed).decode(errors="replace").strip()
                raise RuntimeError(
                    f"Prism did not start to serve at {endpoint}; it printed: {text}"
                )
            portable.job_endpoint = endpoint
            # Beam would give up waiting for a job after this time.
            portable.job_server_timeout = _TEN_YEARS
            with _quiet_workers():
                yield
        finally:
            over.set()
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            reader.join()


@contextlib.contextmanager
def handling(number: int, handler: Any) -> Iterator[None]:
    """Handles a signal until the block ends, if this is the main thread: no other one can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def _quiet_workers() -> Iterator[None]:
    """Keeps workers in this process from printing errors that come back as exceptions."""
    from apache_beam.runners.worker import sdk_worker

    # They call `print`.
    sdk_worker.print = lambda *_, **__: None
    try:
        yield
    finally:
        del sdk_worker.print


def _starts(process: subprocess.Popen[bytes], endpoint: str) -> bool:
    # gRPC waits a second after a refused connection, so connections are tried without it.
    host, _, port = endpoint.rpartition(":")
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0):
            return True
        time.sleep(0.01)
    return False


@contextlib.contextmanager
def interruptible(error: Callable[[], BeamMatError]) -> Iterator[Callable[[], None]]:
    """Yields a function by which another thread ends the block: it raises `error()` there.

    The function does nothing outside of the main thread, and on systems without such signals.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not (in_main and hasattr(signal, "pthread_kill")):
        yield lambda: None
        return

    def stop(*_: object) -> None:
        raise error()

    with handling(signal.SIGUSR1, stop):
        yield functools.partial(signal.pthread_kill, threading.get_ident(), signal.SIGUSR1)


@contextlib.contextmanager
def thread_failures(handled: Callable[[Any], bool]) -> Iterator[None]:
    """Keeps an exception that ends a thread from being printed, if `handled` returns True for it.

    `handled` is called with the arguments of `threading.excepthook`.
    """
    before = threading.excepthook

    def hook(failure: Any) -> None:
        if not handled(failure):
            before(failure)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Raises a WorkerLostError in the block if a worker process of the in-process runner dies."""
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    deaths: list[str] = []
    over: list[bool] = []

    def died() -> WorkerLostError:
        hint = " (fewer --direct_num_workers need less)"
        return lost(f"a worker process died ({deaths[0]})", hint)

    def handled(failure: Any) -> bool:
        # In threads of this name, Beam waits for the end of a worker process.
        if failure.thread is None or not failure.thread.name.startswith("run_worker"):
            return False
        if over:
            return True
        code = _EXIT_CODE.search(str(failure.exc_value))
        # A worker that ends on its own has reported why.
        if code and not 0 <= int(code[0]) < _SIGNALLED and not deaths:
            deaths.append(str(failure.exc_value))
            alarm.start()
        return True

    def end() -> None:
        _kill_descendants()
        interrupt()

    def stop(handler: Any) -> None:
        # Beam waits for all to end, but one that connects only after the end of the job never does.
        over.append(True)
        handler.worker_thread.join(GRACE_SECONDS)
        if handler.worker_thread.is_alive():
            _kill_descendants()
            handler.worker_thread.join()

    alarm = threading.Timer(GRACE_SECONDS, end)
    alarm.daemon = True
    kind = worker_handlers.SubprocessSdkWorkerHandler
    before, kind.stop_worker = kind.stop_worker, stop
    with interruptible(died) as interrupt, thread_failures(handled):
        try:
            yield
        except Exception as error:
            if deaths and not isinstance(error, BeamMatError):
                raise died() from error
            raise
        finally:
            kind.stop_worker = before
            alarm.cancel()


def _kill_descendants() -> None:
    for pid in _descendants():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _descendants() -> list[int]:
    """Processes that this one started, directly or not; none if the system does not list them."""
    children = defaultdict[int, list[int]](list)
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            # The name of the program is in brackets and may contain anything.
            parent = status.read_text().rpartition(")")[2].split()[1]
            children[int(parent)].append(int(status.parent.name))
    found = [os.getpid()]
    for pid in found:
        found += children[pid]
    return found[1:]
