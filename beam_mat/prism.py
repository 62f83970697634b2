"""Prism, Apache Beam's local runner of its own process, for as long as one job needs it.

Beam starts Prism too, but ends it by an interrupt and a sleep of a second, and a job in the
background would hand down to it that interrupts are to be ignored.
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
"""How long Beam is given to notice by itself that Prism has died."""


@contextlib.contextmanager
def serving(options: PipelineOptions) -> Iterator[None]:
    """Runs Prism while the block lasts, and points `options` to it.

    Nothing is started where the options name an endpoint already.

    Raises:
        RuntimeError: Prism did not start; the text holds what it printed.
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
        # Of the streams by which Beam waits for a job: after so long it would take Prism for gone.
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
    """What the block starts ignores Ctrl-C, which a terminal sends to it too.

    It is ended by the one who started it, who may need it until then.
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
    """Keeps workers in this process from printing their errors, which come back as exceptions."""

    def say_nothing(*_: object, **__: object) -> None:
        pass

    # They print by the function of that name, to standard error.
    sdk_worker.print = say_nothing
    try:
        yield
    finally:
        del sdk_worker.print


@contextlib.contextmanager
def _noticed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends the block when Prism has died: at some moments Beam waits for it for ever.

    Raises:
        WorkerLostError: It has, and Beam has said nothing.
    """
    over = threading.Event()
    main = threading.main_thread()
    wakes = hasattr(signal, "pthread_kill") and threading.current_thread() is main

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise WorkerLostError(
            f"Prism died (exit code {process.poll()}); see whether memory ran out, and run the "
            "same command again, which goes on from here"
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
    # A channel of gRPC that is refused once waits a second before it tries again.
    host, _, port = endpoint.rpartition(":")
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0):
            return True
        time.sleep(0.01)
    return False
