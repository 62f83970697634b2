"""A lease on an output folder: only one run at a time can write to it.

On a local disk, the run holds a file lock, which the operating system releases when the process
ends for any reason. Object stores have no locks, but they can create a file only if it does not
exist. There, leases are numbered files, and the file with the highest number is the current lease.
Its holder renews it regularly. If it is not renewed, another run can create the next number; if
several runs try, only one succeeds.
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

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import OutputInUseError
from beam_mat.storage import files
from beam_mat.storage.local_store import explained
from beam_mat.work.results import is_json

try:
    import fcntl
except ImportError:  # Windows, where a local folder is treated like an object store
    fcntl = None  # type: ignore[assignment]

RENEW_SECONDS = 10.0
STALE_SECONDS = 60.0
"""The holder of a lease that has not been renewed for this long is considered dead."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease.

    `place` identifies the running system and its process namespace, `token` the run. `beat` is how
    often the lease has been renewed.
    """

    host: str
    pid: int
    since: str
    place: str
    token: str
    beat: int = 0
    released: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (started {self.since})"

    def is_dead(self) -> bool:
        """Returns whether the process has certainly ended; unknown on other machines."""
        if self.place != _place():
            return False
        with contextlib.suppress(PermissionError):  # the process of another user
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return True
        return False


class Lease:
    """The right to write below an output folder."""

    def __init__(self, output: str) -> None:
        self._output = output
        now = datetime.datetime.now(datetime.timezone.utc)
        self._holder = Holder(
            socket.gethostname(),
            os.getpid(),
            f"{now:%Y-%m-%d %H:%M:%S} UTC",
            _place(),
            uuid.uuid4().hex,
        )

    def check(self) -> None:
        """Checks that this run still holds the lease. Raises OutputInUseError if it does not."""

    def _refuse(self, other: Holder | None) -> OutputInUseError:
        return OutputInUseError(
            f"{self._output}: {other or 'another run'} is writing here; wait until it ends, stop "
            "it, or choose another folder"
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[Lease]:
        """Holds the lease on a file system with locks."""
        path = files.join(self._output, layout.LEASE, "local.json")
        files.refuse_links(path, self._output)
        with explained(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            opened = open(path, "a+b")  # noqa: SIM115
        with opened as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise self._refuse(_decoded(file.read())) from None
            file.truncate(0)
            file.write(msgspec.json.encode(self._holder))
            file.flush()
            yield self


class _Renewed(Lease):
    """A lease on an object store."""

    @contextlib.contextmanager
    def renewed(self, say: Callable[[str], object]) -> Iterator[Lease]:
        """Holds the lease, and renews it in a thread."""
        number, other = self._highest()
        if other and not (other.released or other.is_dead()):
            self._watch(number, other, say)
        self._number = number + 1
        if not files.create(self._uri(self._number), msgspec.json.encode(self._holder)):
            raise self._refuse(self._highest()[1])
        self._ended = threading.Event()
        self.check()
        for number in self._numbers()[:-1]:
            files.remove_file(self._uri(number))
        thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()
            with contextlib.suppress(OutputInUseError):
                self.check()
                # The file stays, so that a run with an old listing cannot create this number again.
                self._write(released=True)

    def _watch(self, number: int, other: Holder, say: Callable[[str], object]) -> None:
        # Clocks of different machines cannot be compared, so watch for a renewal.
        say(
            f"{self._output}: {other} may still be writing here; waiting up to "
            f"{STALE_SECONDS:.0f} s to see whether it renews its lease"
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

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                self.check()
            except OutputInUseError:
                return  # reported by the next check, before anything is committed
            except Exception:  # noqa: BLE001  # an outage: the next attempt may succeed
                continue
            with contextlib.suppress(Exception):
                self._write(beat=self._holder.beat + 1)

    def _uri(self, number: int) -> str:
        return files.join(self._output, layout.LEASE, f"{number:08d}.json")

    def _write(self, **changes: object) -> None:
        self._holder = msgspec.structs.replace(self._holder, **changes)
        scratch = files.join(self._output, layout.SCRATCH)
        files.write_bytes(self._uri(self._number), msgspec.json.encode(self._holder), scratch)

    def _numbers(self) -> list[int]:
        names = (name for name, _ in files.find(files.join(self._output, layout.LEASE)))
        return sorted(int(name[:8]) for name in names if name[:8].isdigit())

    def _highest(self) -> tuple[int, Holder | None]:
        while numbers := self._numbers():
            with contextlib.suppress(FileNotFoundError):  # a newer holder has just removed it
                return numbers[-1], _decoded(files.read_bytes(self._uri(numbers[-1]), is_json))
        return 0, None


def held(output: str, say: Callable[[str], object]) -> contextlib.AbstractContextManager[Lease]:
    """Holds the lease of an output folder, or raises OutputInUseError.

    `say` is called with a message if acquiring the lease takes long.
    """
    if "://" not in output and fcntl is not None:
        return Lease(output).locked()
    return _Renewed(output).renewed(say)


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
