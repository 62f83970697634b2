"""How deep lists and objects are nested in JSON, so that no verdict depends on the interpreter.

A decoder gives up at the interpreter's recursion limit, and how much of that is left depends on the
caller: on the runner, and on the version of Python. All depths that are allowed here are far below.
"""

from typing import Any

import msgspec

from beam_mat.core.limits import MAX_NESTING
from beam_mat.core.scan import max_depth

_CONTAINERS = (dict, list)


class TooDeepError(ValueError):
    """Lists and objects are nested too deep. Says so."""

    def __init__(self, limit: int = MAX_NESTING) -> None:
        super().__init__(f"lists and objects are nested more than {limit} deep")


def require_shallow(value: object, limit: int = MAX_NESTING) -> None:
    """Raises TooDeepError if a decoded value is nested more than `limit` deep."""
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if type(outer) in _CONTAINERS
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return
    raise TooDeepError(limit)


def require_shallow_text(raw: bytes, limit: int = MAX_NESTING) -> None:
    """Raises TooDeepError if brackets in a text are nested more than `limit` deep.

    For a text that cannot be decoded: a decoder may have stopped at its depth or at another fault.
    """
    if raw.count(b"[") + raw.count(b"{") > limit and max_depth(raw) > limit:
        raise TooDeepError(limit)


def decode_text(text: str) -> Any:
    """Decodes a text that a record has instead of a value. Raises ValueError, which says why.

    >>> decode_text("[1]")
    [1]
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        require_shallow_text(text.encode("utf-8", "replace"))
        raise ValueError(str(error)) from None
    require_shallow(value)
    return value
