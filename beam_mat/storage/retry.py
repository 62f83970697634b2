"""Trying again what a store failed to do for a reason that passes."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from beam_mat.core.errors import BeamMatError, StoreError
from beam_mat.core.secrecy import text_without_credentials

T = TypeVar("T")

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.25
"""Before the second attempt; doubled before each further one, and varied by half."""

LIMIT_SECONDS = 60.0
"""No attempt begins later than this after the first: drivers retry by themselves, up to half a
minute an attempt, and the runner will retry the whole unit of work."""

_ANSWERS = (
    BeamMatError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
)
"""What a caller may want to know: passed on as it is."""

_LASTING = (
    *_ANSWERS,
    PermissionError,
    # Ours or the driver's own mistakes.
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    TypeError,
    ValueError,
    Warning,
)
_PASSING_STATUS = (408, 425, 429)

_log = logging.getLogger(__name__)


class ShortBodyError(OSError):
    """An answer that is not as long as what was asked for."""


def passes(error: Exception) -> bool:
    """Whether the next try may go well: not where the store, or this program, said a clear no."""
    # A listing that was cut short on the way is no JSON.
    if isinstance(error, json.JSONDecodeError):
        return True
    # gcsfs has no type of its own for a 403.
    if isinstance(error, _LASTING) or str(error).startswith("Forbidden:"):
        return False
    status = _status(error)
    return status is None or status >= 500 or status in _PASSING_STATUS


def _status(error: Exception) -> int | None:
    # gcsfs says code, aiohttp says status; drivers on httpx and requests carry the response.
    for found in (error, getattr(error, "response", None)):
        for name in ("code", "status", "status_code"):
            number = getattr(found, name, None)
            if str(number).isdigit():
                return int(str(number))
    return None


def insist(uri: str, call: Callable[[], T]) -> T:
    """Calls until it goes well.

    Raises:
        StoreError: It failed `ATTEMPTS` times, or for `LIMIT_SECONDS`, for reasons that might have
            passed; or once, by a clear no.
        FileNotFoundError: And its like, as the call raises it.
    """
    begin = time.monotonic()
    pause = FIRST_PAUSE_SECONDS
    number = 0
    while True:
        number += 1
        try:
            return call()
        except Exception as error:  # drivers raise whatever their libraries do
            whole = f"{type(error).__name__}: {error}".rstrip(": ")
            # The hub, for one, sends its clients on to addresses that are signed. Then the error
            # itself, which would be told with its cause, is not to be seen either.
            said = text_without_credentials(whole)
            cause = cause_of(error)
            if not passes(error):
                if isinstance(error, _ANSWERS) or not _is_of_driver(error):
                    raise
                raise StoreError(
                    f"{uri}: the store refused: {said}; look at permissions and credentials"
                ) from cause
            if number == ATTEMPTS or time.monotonic() - begin > LIMIT_SECONDS:
                raise StoreError(
                    f"{uri}: the store failed {number} time(s) in a row, last with {said}; "
                    "look at its state and at the network, then run again"
                ) from cause
            _log.info("%s: attempt %d failed with %s", uri, number, said)
        time.sleep(pause * random.uniform(0.5, 1.5))
        pause *= 2


def cause_of(error: Exception) -> Exception | None:
    """The error, to be told as a cause, unless its text has a credential in it."""
    return error if text_without_credentials(str(error)) == str(error) else None


def _is_of_driver(error: Exception) -> bool:
    return isinstance(error, OSError) or type(error).__module__ != "builtins"
