"""Prism, Apache Beam's local runner of its own process, for as long as one job needs it.

Beam starts Prism too, but ends it by an interrupt and a sleep of a second, and a job in the
background would hand down to it that interrupts are to be ignored.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.runners.portability.prism_runner import PrismJobServer

START_SECONDS = 60.0
END_SECONDS = 5.0


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
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()


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
