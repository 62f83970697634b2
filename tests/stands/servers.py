"""Emulators of object stores, each a process of its own on a port of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.command import ROOT

FAKE_GCS = ROOT / ".cache" / "stands" / "fake-gcs-server"
START_SECONDS = 30.0


def missing(what: object) -> None:
    """Skips the test, or fails it where everything has to be there."""
    why = f"there is no {what}; scripts/test installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@contextlib.contextmanager
def google(folder: Path) -> Iterator[str]:
    """Runs an emulator of Google's store, and yields its address. Its output goes to `folder`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    where = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-external-url", url]
    with _running([str(FAKE_GCS), *where, "-backend", "memory"], port, folder / "gcs.log"):
        yield url


def google_bucket(url: str, name: str) -> None:
    """Makes a bucket."""
    request = urllib.request.Request(
        f"{url}/storage/v1/b?project=tests",
        json.dumps({"name": name}).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()


@contextlib.contextmanager
def amazon(folder: Path) -> Iterator[str]:
    """Runs an emulator of S3, and yields its address. Its output goes to `folder`."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, folder / "s3.log"):
        yield f"http://127.0.0.1:{port}"


def amazon_bucket(url: str, name: str) -> None:
    """Makes a bucket."""
    request = urllib.request.Request(f"{url}/{name}", method="PUT")
    request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3")
    urllib.request.urlopen(request).close()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def _running(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        await_port(port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_port(port: int) -> None:
    """Waits until somebody listens on a port of loopback."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.01)
    raise RuntimeError(f"nobody listens on port {port}")
