"""Programs of this package that start without the seconds which their imports take."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.forking import address, pipes_of, python_words

_STARTED = subprocess.Popen
_CAN_FORK = sys.platform == "linux" and importlib.util.find_spec("llamafactory") is not None
_PATIENCE = 300.0


@contextlib.contextmanager
def forked() -> Iterator[None]:
    """Python programs that are started here are forks of a process that has imported everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Popen)
        yield


@contextlib.contextmanager
def started_anew() -> Iterator[None]:
    """Python programs that are started here are new processes, also within `forked`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", _STARTED)
        yield


class Server:
    """`tests.forking` in a process of its own, which ends with this one."""

    def __init__(self) -> None:
        self.name = f"mat-trainer-tests-{uuid.uuid4().hex}"
        words = [sys.executable, "-m", "tests.forking", self.name]
        root = Path(__file__).resolve().parents[1]
        self.process = _STARTED(words, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})

    def connect(self) -> socket.socket:
        """A new connection, once the server has imported everything."""
        give_up = time.monotonic() + _PATIENCE
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(address(self.name))
            except OSError:
                connection.close()
                assert self.process.poll() is None, "the server of forks has ended"
                assert time.monotonic() < give_up, "the server of forks does not answer"
                time.sleep(0.05)
            else:
                return connection


class Popen(subprocess.Popen[Any]):
    """Has Python programs forked by the server. Starts other programs as usual."""

    _server: Server | None = None
    _connection: socket.socket | None = None

    def _execute_child(self, args: Any, *more: Any) -> None:
        words = python_words(args)
        if words is None or not _CAN_FORK:
            super()._execute_child(args, *more)  # type: ignore[misc] # not in the stubs
            return
        folder, environment, pipes, new_session = more[4], more[5], more[9:15], more[20]
        asked = {
            "words": words,
            "environment": dict(os.environ if environment is None else environment),
            "folder": os.fspath(folder or os.getcwd()),
            "new_session": new_session,
        }
        Popen._server = Popen._server or Server()
        self._connection = Popen._server.connect()
        streams = [fd if fd != -1 else number for number, fd in enumerate(pipes_of(pipes))]
        socket.send_fds(self._connection, [b"."], streams)
        self._connection.sendall(json.dumps(asked).encode() + b"\n")
        self.pid = int(self._line(None))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined] # not in the stubs

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._connection is None:
            pid, status = super()._try_wait(wait_flags)  # type: ignore[misc] # not in the stubs
            return pid, status
        line = self._line(0 if wait_flags & os.WNOHANG else None)
        if not line:
            return 0, 0
        self._connection.close()
        return self.pid, int(line)

    def _internal_poll(self, *more: Any, **most: Any) -> int | None:
        if self._connection is None:
            code: int | None = super()._internal_poll(*more, **most)  # type: ignore[misc]
            return code
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)  # type: ignore[attr-defined] # not in the stubs
        return self.returncode

    def _line(self, seconds: float | None) -> str:
        """What the server says next, without its end; nothing if it says nothing in time."""
        assert self._connection is not None
        if not select.select([self._connection], [], [], seconds)[0]:
            return ""
        said = b""
        while not said.endswith(b"\n"):
            more = self._connection.recv(1)
            assert more, "the server of forks broke off"
            said += more
        return said.decode().strip()
