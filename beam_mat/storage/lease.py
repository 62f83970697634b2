"""One run at a time on an output folder.

On a local disk the run holds a lock that the system takes back when its process ends, however that
comes. Object stores have no locks, but create a file only if there is none: leases are numbered
files of which the highest counts. Its holder writes it again and again; when it stands still, the
next number is there for the taking, and of many who reach for it one gets it.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import IO

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import OutputInUseError
from beam_mat.storage import files, local
from beam_mat.storage.notes import is_json

try:
    import fcntl
except ImportError:  # Windows: there a local folder is treated as an object store's
    fcntl = None  # type: ignore[assignment]

RENEW_SECONDS = 10.0
STALE_SECONDS = 60.0
"""A lease that has stood still for so long is a dead one's."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease.

    Attributes:
        host: Name of the machine.
        pid: The process.
        since: When it began.
        place: What tells this running system, and its table of processes, from others.
        token: Unique to this run.
        beat: How often the lease has been renewed.
        released: Whether it was given back.
    """

    host: str
    pid: int
    since: str
    place: str
    token: str
    beat: int = 0
    released: bool = False

    def is_dead(self) -> bool:
        """Whether it surely runs no more; of another machine nobody can tell."""
        if self.place != _place():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class Lease:
    """The right to write below an output folder."""

    def __init__(self, output: str, holder: Holder, say: Callable[[str], object]) -> None:
        self._output = output
        self._holder = holder
        self._say = say

    def take(self) -> None:
        """Gets hold of it. Raises OutputInUseError."""
        raise NotImplementedError

    def check(self) -> None:
        """Makes sure that it is still ours, before a decisive step. Raises OutputInUseError."""

    def release(self) -> None:
        """Gives it back."""
        raise NotImplementedError

    def _refuse(self, other: Holder | None) -> OutputInUseError:
        who = _named(other) if other else "another run"
        return OutputInUseError(
            f"{self._output}: {who} is writing here; wait for its end, end it, or name another "
            "folder"
        )


class _Lock(Lease):
    """On a file system with locks."""

    _file: IO[bytes]

    def take(self) -> None:
        path = files.join(self._output, layout.LEASE, "local.json")
        with local.explained(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._file = open(path, "a+b")  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            other = _decoded(self._file.read())
            self._file.close()
            raise self._refuse(other) from None
        self._file.truncate(0)
        self._file.write(msgspec.json.encode(self._holder))
        self._file.flush()

    def release(self) -> None:
        self._file.close()


class _Renewed(Lease):
    """On an object store."""

    def take(self) -> None:
        number, other = self._highest()
        if other and not (other.released or other.is_dead()):
            self._watch(number, other)
        self._number = number + 1
        if not files.create(self._uri(self._number), msgspec.json.encode(self._holder)):
            raise self._refuse(self._highest()[1])
        self._ended = threading.Event()
        self.check()
        for number in self._numbers()[:-1]:
            files.remove_file(self._uri(number))
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def _watch(self, number: int, other: Holder) -> None:
        # Clocks of different machines tell nothing of each other. What moves is alive.
        self._say(
            f"{self._output}: {_named(other)} has begun to write here; waiting "
            f"{STALE_SECONDS:.0f} s at most for a sign of life"
        )
        give_up = time.monotonic() + STALE_SECONDS
        while time.monotonic() < give_up:
            time.sleep(STALE_SECONDS / 60)
            found = self._highest()
            if found != (number, other):
                raise self._refuse(found[1])

    def check(self) -> None:
        number, other = self._highest()
        if number != self._number or other is None or other.token != self._holder.token:
            raise self._refuse(other)

    def release(self) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OutputInUseError):
            self.check()
            # The number stays taken: whoever looked before and is late must not get it again.
            self._write(msgspec.structs.replace(self._holder, released=True))

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                self.check()
            except OutputInUseError:
                return  # found out again, and told, before anything is published
            except Exception:  # noqa: BLE001  # an outage: the next beat may go well
                continue
            self._holder = msgspec.structs.replace(self._holder, beat=self._holder.beat + 1)
            with contextlib.suppress(Exception):
                self._write(self._holder)

    def _uri(self, number: int) -> str:
        return files.join(self._output, layout.LEASE, f"{number:08d}.json")

    def _write(self, holder: Holder) -> None:
        scratch = files.join(self._output, layout.SCRATCH)
        files.write_bytes(self._uri(self._number), msgspec.json.encode(holder), scratch)

    def _numbers(self) -> list[int]:
        names = (name for name, _ in files.find(files.join(self._output, layout.LEASE)))
        return sorted(int(name[:8]) for name in names if name[:8].isdigit())

    def _highest(self) -> tuple[int, Holder | None]:
        while numbers := self._numbers():
            with contextlib.suppress(FileNotFoundError):  # a newer holder has just removed it
                return numbers[-1], _decoded(files.read_bytes(self._uri(numbers[-1]), is_json))
        return 0, None


@contextlib.contextmanager
def held(output: str, say: Callable[[str], object]) -> Iterator[Lease]:
    """Holds an output folder for as long as the block takes.

    Args:
        output: The folder's uri.
        say: Is told when it takes long to know whether the folder is free.

    Raises:
        OutputInUseError: Another run holds it; the text says which.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    kind = _Lock if "://" not in output and fcntl is not None else _Renewed
    holder = Holder(
        socket.gethostname(),
        os.getpid(),
        f"{now:%Y-%m-%d %H:%M:%S} UTC",
        _place(),
        uuid.uuid4().hex,
    )
    lease = kind(output, holder, say)
    lease.take()
    try:
        yield lease
    finally:
        lease.release()


def _named(holder: Holder) -> str:
    return f"process {holder.pid} on {holder.host}, begun {holder.since},"


def _decoded(data: bytes) -> Holder | None:
    try:
        return msgspec.json.decode(data, type=Holder)
    except msgspec.DecodeError:
        return None


def _place() -> str:
    facts = [socket.gethostname(), str(uuid.getnode())]
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id") as file:
        facts.append(file.read())
    with contextlib.suppress(OSError):
        facts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
