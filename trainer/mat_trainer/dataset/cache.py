"""Where staged datasets are kept, and what was found out about them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mat_trainer.core.errors import ConfigError


def default_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Where staged datasets are kept.

    >>> default_cache({"XDG_CACHE_HOME": "/var/cache"})
    PosixPath('/var/cache/mat-trainer')
    """
    if chosen := environment.get("MAT_TRAINER_CACHE"):
        return Path(chosen).absolute()
    home = environment.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "mat-trainer"


@contextlib.contextmanager
def writable(cache: Path) -> Iterator[None]:
    """Makes the folder, and says what to do where it, or a file in it, cannot be written.

    Raises:
        ConfigError: It cannot be.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigError(
            [
                f"{error.filename or cache}: {error.strerror}; staged datasets and what was "
                "verified are kept there: set MAT_TRAINER_CACHE to a folder that can be written"
            ]
        ) from error
