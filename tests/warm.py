"""Starts the command line at once, from a process that has imported everything.

Python takes seconds to import Beam, and a test that kills a program again and again would wait for
little else. The program is a process of its own all the same.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

import psutil

from tests.command import ROOT

MODULES = ("apache_beam", "beam_mat.cli.entry", "beam_mat.convert.driver", "beam_mat.sample")


class Warm:
    """Starts programs; see `warm`."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    def start(self, words: list[str], environment: Mapping[str, str]) -> psutil.Process:
        """Starts a command, whose output goes nowhere."""
        assert self._server.stdin
        assert self._server.stdout
        print(json.dumps([words, dict(environment)]), file=self._server.stdin, flush=True)
        return psutil.Process(int(self._server.stdout.readline()))


@contextlib.contextmanager
def warm() -> Iterator[Warm]:
    """Yields a process that has imported everything, and ends it."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        yield Warm(server)
        assert server.stdin
        server.stdin.close()


def serve() -> None:
    """Forks a process for each line of standard input, and prints its number."""
    for module in MODULES:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that no ended process stays
    for line in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if not pid:
            _run(*json.loads(line))
        print(pid, flush=True)  # noqa: T201  # the answer


def _run(words: list[str], environment: Mapping[str, str]) -> None:
    from beam_mat.cli.entry import main

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    sys.exit(main(words))


if __name__ == "__main__":
    serve()
