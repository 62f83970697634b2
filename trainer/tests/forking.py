"""Runs Python programs as forks of a process that has imported LLaMA-Factory.

python -m tests.forking NAME

Importing PyTorch and LLaMA-Factory takes about eight seconds, and one `mat-trainer run` does it
four times. Forks of a process that has imported them start at once. `tests/warm.py` asks this
server for such processes. In them `subprocess.Popen` forks too, so that a launcher, torchrun and
the ranks form the same tree of processes, with the same sessions, as programs that are started
anew. It works on Linux only.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
import types
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

MARK = "MAT_TRAINER_TEST_MARK"
"""The variable by which a test recognises the processes that it started."""

IMPORTED = (
    "llamafactory.train.tuner",
    "mat_trainer.commands.run",
    "mat_trainer.worker.part_rows",
    "torch.distributed.run",
)
MARK_LETTERS = 8
_PR_SET_NAME = 15
_PR_SET_PDEATHSIG = 1
_FIRST_OTHER_FILE = 3


def python_words(args: Any) -> list[str] | None:
    """What follows the interpreter on a command line, or None for another program."""
    if isinstance(args, (str, bytes, os.PathLike)):
        return None
    program, *words = map(os.fsdecode, args)
    if os.path.basename(program) == "torchrun":
        return ["-m", "torch.distributed.run", *words]
    words = [word for word in words if word != "-u"] if words[:1] == ["-u"] else words
    return words if program == sys.executable and words else None


def name(mark: str, rank: str = "") -> str:
    """The name of a forked process: /proc shows the environment of the server, not its own."""
    return f"{mark[:MARK_LETTERS]}.{rank}" if mark else ""


class Popen(subprocess.Popen[Any]):
    """Forks this process to run a Python program. Starts other programs as usual."""

    def _execute_child(self, args: Any, *more: Any) -> None:
        words = python_words(args)
        if words is None:
            super()._execute_child(args, *more)  # type: ignore[misc] # not in the stubs
            return
        folder, environment, pipes, new_session = more[4], more[5], more[9:15], more[20]
        streams = [fd if fd != -1 else number for number, fd in enumerate(pipes_of(pipes))]
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        self.pid = os.fork()
        if self.pid == 0:
            become(words, streams, environment, folder, new_session=new_session)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined] # not in the stubs


def pipes_of(pipes: Sequence[int]) -> tuple[int, int, int]:
    """The child's ends: standard input, output and error; -1 for one that is inherited."""
    return pipes[0], pipes[3], pipes[5]


def become(
    words: Sequence[str],
    streams: Sequence[int],
    environment: Mapping[str, str] | None,
    folder: str | None,
    *,
    new_session: bool,
) -> NoReturn:
    """Turns this forked process into a Python program, as a new interpreter would be."""
    code = 1
    try:
        # No object of the process that was forked may close a file or remove a folder here.
        gc.freeze()
        weakref.finalize._registry.clear()  # type: ignore[attr-defined] # TemporaryDirectory's
        atexit._clear()
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, _FIRST_OTHER_FILE) for fd in streams]
        for number, fd in enumerate(copies):
            os.dup2(fd, number)
        os.closerange(_FIRST_OTHER_FILE, os.sysconf("SC_OPEN_MAX"))
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if new_session:
            os.setsid()
        if folder is not None:
            os.chdir(folder)
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        if label := name(os.environ.get(MARK, ""), os.environ.get("RANK", "")):
            ctypes.CDLL(None).prctl(_PR_SET_NAME, label.encode())
        code = _run(list(words))
    except BaseException:  # noqa: BLE001 the process ends here
        traceback.print_exc()
    os._exit(code)


def _run(words: list[str]) -> int:
    code = 0
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        elif words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            main = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(words[1], "<string>", "exec"), main.__dict__)
        else:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        code = _exit_code(ended.code)
    except KeyboardInterrupt:
        traceback.print_exc()
        _flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:  # noqa: BLE001 as the interpreter does it
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads, as at any end
    atexit._run_exitfuncs()
    _flush()
    return code


def _exit_code(code: object) -> int:
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def address(server: str) -> str:
    """The address of a server's socket, which is in no folder."""
    return f"\0{server}"


def _serve(server: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # ends with the tests
    subprocess.Popen = Popen  # type: ignore[misc] # before torch.distributed binds the name
    with contextlib.redirect_stdout(sys.stderr):
        _import()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address(server))
        listener.listen()
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                _attend(connection)
            connection.close()


def _import() -> None:
    gc.disable()
    for module in IMPORTED:
        importlib.import_module(module)
    gc.enable()


def _attend(connection: socket.socket) -> NoReturn:
    """Runs one program and reports its process and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection, connection.makefile("rw") as file:
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        asked = json.loads(file.readline())
        pid = os.fork()
        if pid == 0:
            become(streams=streams, **asked)
        for fd in streams:
            os.close(fd)
        file.write(f"{pid}\n")
        file.flush()
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(OSError):  # nobody may be interested any longer
            file.write(f"{status}\n")
            file.flush()
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
