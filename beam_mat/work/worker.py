"""The program of worker processes.

The first process is a template. It imports modules once, and then forks a worker for each request
on its socket. A worker gets tasks on a socket of its own, calls a function for each item, and sends
the results. Hostile bytes may crash a worker, make it spin or fill its memory: limits of the
operating system end it, and nothing else dies. All processes end when their socket is closed,
which the system does when the parent ends, whatever ends it. See `beam_mat.work.workers`.
"""

import contextlib
import functools
import importlib
import os
import resource
import signal
import socket
import struct
import traceback
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import msgspec

from beam_mat.core.errors import BeamMatError

REQUEST = struct.Struct("=cq")
"""A request to the template, and its answer. FORK comes with a socket for the new worker, and the
answer is its pid. WAIT comes with the pid of a worker that ends, and the answer is its status."""

FORK, WAIT = b"F", b"W"
OUT_OF_MEMORY = 117
"""Exit code of a worker that reached its limit of memory."""

_SIZE = struct.Struct("=Q")


class Limits(msgspec.Struct, frozen=True, array_like=True):
    """What an item may use: bytes of memory, seconds of CPU time, and seconds in all.

    The last one ends a worker that waits for something that never comes. It is far above the
    second, so that it does not end a worker on a busy machine.
    """

    memory: int = 2 << 30
    cpu_seconds: float = 30.0
    seconds: float = 1200.0


class Task(msgspec.Struct, frozen=True, array_like=True):
    """Items for which a worker calls ``function(common, item)``: ``module:name``."""

    function: str
    limits: Limits
    common: msgspec.Raw
    items: list[msgspec.Raw]


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The results of a task's items, or an exception: the name of its class, and its text."""

    results: list[msgspec.Raw] = []
    error: str = ""
    text: str = ""


def send(sock: socket.socket, message: Task | Answer) -> None:
    """Sends a message. Raises an OSError if the other side has ended."""
    data = msgspec.msgpack.encode(message)
    sock.sendall(_SIZE.pack(len(data)))
    sock.sendall(data)


def receive(sock: socket.socket, kind: type[Any]) -> Any:
    """Returns the next message. Raises EOFError if the other side has ended."""
    (size,) = _SIZE.unpack(_exactly(sock, _SIZE.size))
    return msgspec.msgpack.decode(_exactly(sock, size), type=kind)


def _exactly(sock: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        try:
            came = sock.recv_into(view[at:])
        except ConnectionResetError:
            came = 0
        if not came:
            raise EOFError
        at += came
    return data


@functools.cache
def decoders(function: Callable[..., Any]) -> Sequence[msgspec.msgpack.Decoder[Any]]:
    """Returns decoders for a function's two arguments and for its result."""
    return [msgspec.msgpack.Decoder(kind) for kind in typing.get_type_hints(function).values()]


def main(fd: int, modules: Iterable[str]) -> None:
    """Runs the template, whose socket has the file descriptor `fd`."""
    # An interrupt from the terminal reaches all processes. The parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=fd)
    for module in modules:
        importlib.import_module(module)
    workers = set[int]()
    while True:
        data, fds, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if not data:
            break
        kind, pid = REQUEST.unpack(data)
        if kind == FORK:
            pid = os.fork()
            if pid == 0:
                control.close()
                _work(socket.socket(fileno=fds[0]))
            os.close(fds[0])
            workers.add(pid)
            control.sendall(REQUEST.pack(FORK, pid))
        else:
            workers.discard(pid)
            try:
                status = os.waitpid(pid, 0)[1]
            except ChildProcessError:  # it belonged to a template that was killed
                status = signal.SIGKILL
            control.sendall(REQUEST.pack(WAIT, status))
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _work(sock: socket.socket) -> NoReturn:
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Decoders complain there about single images.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    own = _address_space()
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = receive(sock, Task)
            _limit_memory(own + task.limits.memory)
            send(sock, _answer(task))
    os._exit(0)


def _answer(task: Task) -> Answer:
    try:
        module, _, name = task.function.partition(":")
        function = getattr(importlib.import_module(module), name)
        common, item, _ = decoders(function)
        shared = common.decode(task.common)
        results = []
        for data in task.items:
            value = item.decode(data)
            with _limited(task.limits):
                result = function(shared, value)
            results.append(msgspec.Raw(msgspec.msgpack.encode(result)))
        return Answer(results)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except Exception as error:  # noqa: BLE001  the parent raises it
        known = isinstance(error, (BeamMatError, OSError))
        text = str(error) if known else "".join(traceback.format_exception(error))
        return Answer(error=type(error).__name__, text=text)


@contextlib.contextmanager
def _limited(limits: Limits) -> Iterator[None]:
    # The default action of both signals ends the process, also while C code runs.
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, limits.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        size = min(size, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def _address_space() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
