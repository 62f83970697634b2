"""Calls functions in worker processes, so that no input can end this process or hold it up.

All threads of a process share its workers. A worker that dies costs the item that it worked on, and
no other. `beam_mat.work.worker` is the program of the workers.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import os
import queue
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from beam_mat.core import errors
from beam_mat.core.errors import WorkerLostError
from beam_mat.work.worker import (
    FORK,
    OUT_OF_MEMORY,
    REQUEST,
    WAIT,
    Answer,
    Limits,
    Task,
    decoders,
    receive,
    send,
)

C = TypeVar("C")
K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")

TASK_WEIGHT = 2 << 20
TASK_ITEMS = 64
"""A task ends with the item that reaches one of these. The last tasks are smaller, so that all
workers finish at about the same time."""

RECYCLE_AFTER = 5000
"""A worker is replaced after this number of items, because decoders lose memory."""

TRIES = 5
"""How often the first process is started if it ends by itself."""
KILLS = 30
"""How often something is tried that a signal from outside ends each time."""

MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""Lets workers keep memory between images. If glibc gave it back, new pages for each image would
take a tenth of the time."""

_FOREIGN = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that users and the system send. No decoder ends by one of them."""

# `-c` puts the working directory first on the path, where there may be any file.
_PROGRAM = """
import sys
del sys.path[0]
from beam_mat.work.worker import main
main(int(sys.argv[1]), sys.argv[2:])
"""


class Death(msgspec.Struct, frozen=True):
    """An item that ended its worker whenever it was tried. `slow` says whether by a time limit."""

    slow: bool
    detail: str


class Workers:
    """At most `number` worker processes, or one for each usable core if it is 0.

    They start when they are needed, have imported `modules` then, and end with this process.
    """

    def __init__(self, number: int, modules: Iterable[str], limits: Limits | None = None) -> None:
        self.number = number or usable_cores()
        self.limits = limits or Limits()
        self._modules = tuple(modules)
        self._lock = threading.Lock()
        self._template: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._running = set[_Worker]()
        self._free = queue.LifoQueue[_Worker | None]()
        for _ in range(self.number):
            self._free.put(None)  # a worker that has not started

    def start(self) -> None:
        """Starts the first process, which imports the modules, and does not wait for it."""
        with self._lock:
            self._start()

    def map(
        self,
        call: Callable[[C, T], R],
        common: C,
        items: Iterable[tuple[K, int, T]],
        weight: int = 0,
    ) -> Iterator[tuple[K, R | Death]]:
        """Yields the key and the result of ``call(common, item)`` for each item, in any order.

        Each item comes with a key and its weight. `weight` is the sum of all weights; without it,
        each item is a task of its own. msgspec must be able to encode all values but the keys, and
        `call` has annotations. Its exceptions are raised here: a `BeamMatError` or an OSError as it
        is, another one as a RuntimeError with the traceback.
        """
        decoder = decoders(call)[2]
        name = f"{call.__module__}:{call.__qualname__}"
        shared = msgspec.Raw(msgspec.msgpack.encode(common))
        todo = _batches(items, weight, self.number)
        again = deque[_Batch]()
        busy: dict[int, tuple[_Worker, _Batch]] = {}
        with selectors.DefaultSelector() as answers:
            try:
                while True:
                    while len(busy) < self.number:
                        batch = again.popleft() if again else next(todo, None)
                        if batch is None:
                            break
                        worker = self._take(wait=not busy, fresh=batch.fresh)
                        if worker is None:
                            again.appendleft(batch)
                            break
                        values = [value for _, value in batch.items]
                        worker.give(Task(name, self.limits, shared, values))
                        busy[worker.pid] = worker, batch
                        answers.register(worker.sock, selectors.EVENT_READ, worker.pid)
                    if not busy:
                        return
                    for ready, _ in answers.select():
                        worker, batch = busy.pop(ready.data)
                        answers.unregister(worker.sock)
                        answer = worker.answer()
                        if answer is None:
                            verdict = self._bury(worker, batch, again)
                            if verdict:
                                yield batch.items[0][0], verdict
                            continue
                        worker.used += len(batch.items)
                        self._free.put(worker)
                        if answer.error:
                            raise _exception(answer)
                        for (key, _), data in zip(batch.items, answer.results, strict=True):
                            yield key, decoder.decode(data)
            finally:
                for worker, _ in busy.values():  # after an error, nobody needs their results
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)
                    self._remove(worker)

    def close(self) -> None:
        """Ends all processes, and what they are working on."""
        self.abandon()
        with self._lock:
            self._end()

    def abandon(self) -> None:
        """Closes the sockets. A process that was forked would keep the workers alive otherwise."""
        for sock in (self._control, *(worker.sock for worker in self._running)):
            if sock:
                sock.close()

    def _take(self, *, wait: bool, fresh: bool) -> _Worker | None:
        """Returns a worker that is free, or None if all are busy and the caller cannot wait."""
        try:
            worker = self._free.get(block=wait)
        except queue.Empty:
            return None
        if worker and not fresh and worker.used < RECYCLE_AFTER:
            return worker
        try:
            if worker:
                self._end_worker(worker)
            worker = self._fork()
            self._running.add(worker)
            return worker
        except BaseException:
            self._free.put(None)
            raise

    def _remove(self, worker: _Worker) -> int:
        code = self._end_worker(worker)
        self._free.put(None)
        return code

    def _end_worker(self, worker: _Worker) -> int:
        """Ends a worker. Returns its exit code, or minus the signal that has ended it."""
        self._running.discard(worker)
        worker.sock.close()
        with self._lock:
            try:
                return os.waitstatus_to_exitcode(self._ask(WAIT, worker.pid, []))
            except (EOFError, OSError):  # the first process was killed
                self._end()
                return -signal.SIGKILL

    def _bury(self, worker: _Worker, batch: _Batch, again: deque[_Batch]) -> Death | None:
        """Decides what happens after a worker's death: other tries, or the death is the result."""
        code = self._remove(worker)
        tries = batch.tries + 1
        if batch.tries == 0:
            again.extend(_Batch([item], tries=1) for item in batch.items)
        elif -code in _FOREIGN and tries <= KILLS:
            again.append(_Batch(batch.items, tries, batch.fresh))
        elif worker.used:
            # What came before may have used the memory.
            again.append(_Batch(batch.items, tries, fresh=True))
        else:
            return _death(code, self.limits)
        return None

    def _start(self) -> None:
        if self._control:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            self._template = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), *self._modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={
                    **MEMORY,
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
                },
            )
        self._control = ours

    def _end(self) -> bool:
        """Ends the first process. Returns whether a signal has ended it before."""
        signalled = False
        if self._control:
            self._control.close()
            self._control = None
        if self._template:
            signalled = self._template.wait() < 0
            self._template = None
        return signalled

    def _fork(self) -> _Worker:
        with self._lock:
            failed = killed = 0
            while failed < TRIES and killed < KILLS:
                self._start()
                ours, theirs = socket.socketpair()
                with theirs:
                    try:
                        return _Worker(ours, self._ask(FORK, 0, [theirs.fileno()]))
                    except (EOFError, OSError):  # the first process was killed
                        ours.close()
                        if self._end():
                            killed += 1
                        else:
                            failed += 1
        raise WorkerLostError(
            "the processes that convert images cannot start; the cause stands above, or the system "
            "has no memory or no processes left: use fewer with --image-workers"
        )

    def _ask(self, kind: bytes, pid: int, fds: list[int]) -> int:
        if not self._control:
            raise EOFError
        socket.send_fds(self._control, [REQUEST.pack(kind, pid)], fds)
        answer = self._control.recv(REQUEST.size, socket.MSG_WAITALL)
        if len(answer) != REQUEST.size:
            raise EOFError
        return int(REQUEST.unpack(answer)[1])


class _Worker:
    """A worker that runs. `used` is its number of items so far."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self.sock, self.pid, self.used = sock, pid, 0

    def give(self, task: Task) -> None:
        """Sends a task, which does nothing if the worker has ended."""
        with contextlib.suppress(OSError):
            send(self.sock, task)

    def answer(self) -> Answer | None:
        """Waits for the answer. Returns None if the worker has ended."""
        try:
            answer: Answer = receive(self.sock, Answer)
        except EOFError:
            return None
        return answer


class _Batch(msgspec.Struct):
    """Items with their keys: a task.

    `tries` is 0 for the first try of all of them; after that, each item is a batch. It needs a
    `fresh` worker if it ended one that had done something before.
    """

    items: list[tuple[Any, msgspec.Raw]]
    tries: int = 0
    fresh: bool = False


def _batches(items: Iterable[tuple[Any, int, Any]], weight: int, number: int) -> Iterator[_Batch]:
    held, size, left = list[tuple[Any, msgspec.Raw]](), 0, weight
    for key, its_weight, item in items:
        held.append((key, msgspec.Raw(msgspec.msgpack.encode(item))))
        size += its_weight
        if len(held) == TASK_ITEMS or size >= min(TASK_WEIGHT, left // (2 * number)):
            yield _Batch(held)
            held, size, left = [], 0, left - size
    if held:
        yield _Batch(held)


def _death(code: int, limits: Limits) -> Death:
    if code == -signal.SIGPROF:
        detail = f"it takes more than {limits.cpu_seconds:g} seconds of CPU time"
    elif code == -signal.SIGALRM:
        detail = f"it is not finished after {limits.seconds:g} seconds"
    elif code == OUT_OF_MEMORY:
        detail = f"it needs more than {limits.memory >> 20} MiB of memory"
    elif code < 0:
        detail = f"the decoder was ended by {signal.Signals(-code).name}"
    else:
        detail = f"the decoder exited with code {code}"
    return Death(code in (-signal.SIGPROF, -signal.SIGALRM), detail)


def _exception(answer: Answer) -> Exception:
    kind = getattr(errors, answer.error, None) or getattr(builtins, answer.error, None)
    if isinstance(kind, type) and issubclass(kind, errors.BeamMatError | OSError):
        return kind(answer.text)
    return RuntimeError(f"in a worker process: {answer.text}")


def usable_cores() -> int:
    """The number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


_all: dict[tuple[int, tuple[str, ...]], Workers] = {}
_making = threading.Lock()


def workers(number: int, modules: tuple[str, ...]) -> Workers:
    """Returns the workers of this process, which all its threads share.

    If the number is 0, these are any that there are already.
    """
    with _making:
        for (_, theirs), found in _all.items():
            if theirs == modules and number in (0, found.number):
                return found
        made = _all[number, modules] = Workers(number, modules)
        atexit.register(made.close)
        return made


def _forget() -> None:
    global _making  # noqa: PLW0603  another thread may have held it
    _making = threading.Lock()
    for one in _all.values():
        atexit.unregister(one.close)
        one.abandon()
    _all.clear()


os.register_at_fork(after_in_child=_forget)
