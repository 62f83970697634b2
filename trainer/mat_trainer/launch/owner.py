"""One run at a time in an output folder: ``owner.json`` says which, as long as it lives.

The launcher of node 0 locks the file (``flock``) and rewrites it every few seconds. The lock ends
with the process, however it ends. Some network file systems keep locks to one machine or refuse
them. So if the lock can be taken, an earlier owner on the same machine has ended, but one on
another machine may live: its file is watched for longer than an owner may be silent. No clocks are
compared.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from mat_trainer.core.errors import PreflightError

NAME = "owner.json"
BEAT_SECONDS = 5.0
"""How often an owner rewrites its file."""
SILENCE_SECONDS = 30.0
"""An owner on another machine has ended if it did not rewrite its file for so long."""

_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 2.0  # another command may look at the lock just now
_BYTES = 1024  # always as long, so that a reader never sees parts of two versions
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO)
_MACHINE = Path("/proc/sys/kernel/random/boot_id")


class Owner(msgspec.Struct, frozen=True):
    """A run that has, or had, the folder.

    Attributes:
        token: A random name of this ownership.
        host: The machine's name, for messages.
        machine: Identifies the machine since it was started; empty if that is not known.
        process: The launcher's process id.
        start: When it began, in UTC.
        job: The cluster's name of the job; empty if there is none.
        beat: Counts the times that the file was rewritten.
        ended: Whether it has ended in order.
        code: Its exit code then.
    """

    token: str
    host: str
    machine: str
    process: int
    start: str
    job: str = ""
    beat: int = 0
    ended: bool = False
    code: int | None = None

    def words(self) -> str:
        """For messages."""
        job = f", {self.job}" if self.job else ""
        return f"process {self.process} on {self.host}{job}, since {self.start}"


class Ownership:
    """The ownership of this process. Set `code` before it ends, for those who look later."""

    def __init__(self, handle: int, path: Path, owner: Owner) -> None:
        self.code: int | None = None
        self._handle = handle
        self._path = path
        self._owner = owner
        self._done = threading.Event()
        with contextlib.suppress(OSError):  # a full disk is told by those who look at it
            _write(handle, owner)
        self._thread = threading.Thread(target=self._keep, name="owner", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Says that this run has ended."""
        self._done.set()
        self._thread.join()
        if self._is_ours():
            with contextlib.suppress(OSError):  # a full disk must not hide why training failed
                _write(
                    self._handle, msgspec.structs.replace(self._owner, ended=True, code=self.code)
                )

    def _keep(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            if not self._is_ours():
                sys.stderr.write(
                    f"mat-trainer: another run has taken {self._path.parent}, because this one was "
                    f"silent for {SILENCE_SECONDS:.0f} s: it stops, so that they do not overwrite "
                    "each other's checkpoints\n"
                )
                os.kill(os.getpid(), signal.SIGTERM)
                return
            self._owner = msgspec.structs.replace(self._owner, beat=self._owner.beat + 1)
            with contextlib.suppress(OSError):  # the next beat may succeed
                _write(self._handle, self._owner)

    def _is_ours(self) -> bool:
        found = read(self._path.parent)
        return found is None or found.token == self._owner.token


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[Ownership]:
    """Owns the folder, which is made if needed, while the block lasts.

    Raises:
        PreflightError: Another run owns it; the message names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        is_locked = _lock(handle, folder)
        owner = _ours()
        if (other := _living(folder, owner.machine, trusted=is_locked)) is not None:
            raise PreflightError(_sentence(folder, other))
        ownership = Ownership(handle, path, owner)
        try:
            if not is_locked:
                time.sleep(_PATIENCE_SECONDS)  # of two that begin at once, the last stays
                if (other := read(folder)) is not None and other.token != owner.token:
                    raise PreflightError(_sentence(folder, other))
            yield ownership
        finally:
            ownership.end()
    finally:
        os.close(handle)


def fault(folder: Path) -> str | None:
    """Why a run could not own the folder; None if it could. Changes nothing."""
    other = holder(folder)
    return None if other is None else _sentence(folder, other)


def holder(folder: Path) -> Owner | None:
    """The run that owns the folder now; None if there is none. May watch it for a while."""
    try:
        handle = os.open(folder / NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        trusted = True
    except BlockingIOError:
        return read(folder) or _unknown()
    except OSError:
        trusted = False
    finally:
        os.close(handle)
    return _living(folder, _machine(), trusted=trusted)


class Life(msgspec.Struct, frozen=True):
    """The last owner, and whether it lives."""

    owner: Owner
    is_alive: bool


def life(folder: Path) -> Life | None:
    """The last owner of a folder; None if there was none. Does not wait, unlike `holder`.

    Of an owner on another machine, the time of its file's last change counts.
    """
    found = read(folder)
    if found is None:
        return None
    if found.ended:
        return Life(found, False)
    path = folder / NAME
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if found.machine == _machine():
            return Life(found, False)
    except BlockingIOError:
        return Life(found, True)
    except OSError:
        pass
    finally:
        os.close(handle)
    return Life(found, time.time() - path.stat().st_mtime < SILENCE_SECONDS)


def read(folder: Path) -> Owner | None:
    """What the file says; None if there is none, or it is damaged."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None


def _lock(handle: int, folder: Path) -> bool:
    """Takes the lock. Returns False where locks are not supported."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                raise PreflightError(_sentence(folder, read(folder) or _unknown())) from None
            time.sleep(0.1)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return False


def _living(folder: Path, machine: str, *, trusted: bool) -> Owner | None:
    """The run that the file names, if it lives, although its lock does not hold us up."""
    other = read(folder)
    if other is None or other.ended:
        return None
    if trusted and machine and other.machine == machine:
        return None  # its lock has ended with it
    end = time.monotonic() + SILENCE_SECONDS
    while time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
        found = read(folder)
        if found is not None and found != other:
            return None if found.ended else found
    return None


def _sentence(folder: Path, other: Owner) -> str:
    return (
        f"--output-dir {folder}: another run is in this folder ({other.words()}), and two would "
        "overwrite each other's checkpoints: wait for it or stop it, or choose another --output-dir"
    )


def _ours(environment: Mapping[str, str] = os.environ) -> Owner:
    now = datetime.datetime.now(datetime.timezone.utc)
    job = environment.get("SLURM_JOB_ID")
    return Owner(
        token=uuid.uuid4().hex,
        host=socket.gethostname(),
        machine=_machine(),
        process=os.getpid(),
        start=now.isoformat(timespec="seconds"),
        job=f"Slurm job {job}" if job else "",
    )


def _unknown() -> Owner:
    return Owner("", "a machine that is not known yet", "", 0, "just now")


def _machine() -> str:
    try:
        return _MACHINE.read_text().strip()
    except OSError:
        return ""


def _write(handle: int, owner: Owner) -> None:
    data = msgspec.json.encode(owner)
    os.pwrite(handle, data.ljust(_BYTES - 1) + b"\n", 0)
    os.fsync(handle)  # network file systems keep what is written until then
