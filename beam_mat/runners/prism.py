"""Prism, Apache Beam's local runner in a process of its own, started for one job.

Beam can start Prism too, but ends it with an interrupt and a sleep of a second, and Prism would
inherit from a job in the background that interrupts are ignored.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from types import FrameType

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.runners.worker import sdk_worker

from beam_mat.core.errors import WorkerLostError

START_SECONDS = 60.0
END_SECONDS = 5.0
LOOK_SECONDS = 0.25
NO_END = 10 * 365 * 86400
GRACE_SECONDS = 5.0
"""How long to wait for Beam to notice that Prism has died."""


@contextlib.contextmanager
def serving(options: PipelineOptions) -> Iterator[None]:
    """Runs Prism until the block ends, and points `options` to it.

    Nothing is started if the options name an endpoint.

    Raises:
        RuntimeError: Prism did not start; the text has what it printed.
    """
    portable = options.view_as(PortableOptions)
    if portable.job_endpoint:
        yield
        return
    command, endpoint = PrismJobServer(options).subprocess_cmd_and_endpoint()
    words = [str(word) for word in command]
    with _without_interrupts():
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = deque[bytes](maxlen=50)
    reader = threading.Thread(target=_drain, args=(process, said), name="prism", daemon=True)
    reader.start()
    try:
        if not _starts(process, endpoint):
            process.kill()
            reader.join()
            printed = b"".join(said).decode(errors="replace").strip()
            raise RuntimeError(f"Prism did not start to serve at {endpoint}; it printed: {printed}")
        portable.job_endpoint = endpoint
        # The timeout of the streams through which Beam waits for a job: after it, Beam gives up.
        portable.job_server_timeout = NO_END
        with _quiet_workers(), _noticed(process):
            yield
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Programs started in the block ignore Ctrl-C, which a terminal sends to them too.

    This process ends them when it no longer needs them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _quiet_workers() -> Iterator[None]:
    """Keeps workers in this process from printing errors that come back as exceptions."""

    def say_nothing(*_: object, **__: object) -> None:
        pass

    # They call `print`.
    sdk_worker.print = say_nothing
    try:
        yield
    finally:
        del sdk_worker.print


@contextlib.contextmanager
def _noticed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends the block if Prism dies: sometimes Beam would wait for it forever.

    Raises:
        WorkerLostError: It has died, and Beam did not notice.
    """
    over = threading.Event()
    main = threading.main_thread()
    wakes = hasattr(signal, "pthread_kill") and threading.current_thread() is main

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise WorkerLostError(
            f"Prism died (exit code {process.poll()}); see whether memory ran out, and run the "
            "same command again, which resumes"
        )

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            if process.poll() is not None:
                if not over.wait(GRACE_SECONDS) and main.ident is not None:
                    signal.pthread_kill(main.ident, signal.SIGUSR1)
                return

    if not wakes:
        yield
        return
    others_handler = signal.signal(signal.SIGUSR1, stop)
    watcher = threading.Thread(target=watch, name="prism's end", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        signal.signal(signal.SIGUSR1, others_handler)


def _drain(process: subprocess.Popen[bytes], said: deque[bytes]) -> None:
    assert process.stdout is not None
    with process.stdout:
        said.extend(process.stdout)


def _starts(process: subprocess.Popen[bytes], endpoint: str) -> bool:
    # gRPC waits a second after a refused connection, so connections are tried without it.
    host, _, port = endpoint.rpartition(":")
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0):
            return True
        time.sleep(0.01)
    return False
