"""The folder for staged datasets, lengths and notes of verified files, and locks in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mat_trainer.core.errors import ConfigError


def default_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder that the environment names, or the default.

    >>> default_cache({"XDG_CACHE_HOME": "/var/cache"})
    PosixPath('/var/cache/mat-trainer')
    """
    if chosen := environment.get("MAT_TRAINER_CACHE"):
        return Path(chosen).expanduser().absolute()
    return user_cache(environment) / "mat-trainer"


def user_cache(environment: Mapping[str, str]) -> Path:
    """The folder for the caches of all programs of the user."""
    home = environment.get("XDG_CACHE_HOME")
    return Path(home) if home else Path.home() / ".cache"


@contextlib.contextmanager
def writable(cache: Path) -> Iterator[None]:
    """Makes the folder, and turns errors of writing to it into one with a cure.

    Raises:
        ConfigError: The folder or a file in it cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigError(
            f"{error.filename or cache}: {error.strerror}; mat-trainer keeps staged datasets "
            "there: set MAT_TRAINER_CACHE to a folder that you can write to",
        ) from error


@contextlib.contextmanager
def only_one(path: Path, does: str) -> Iterator[None]:
    """Holds a lock until the block ends. A process that dies releases it.

    Args:
        path: The lock's file, which stays.
        does: What the holder does, for the message to a process that has to wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"Waiting for another process on this machine that {does}\n")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
