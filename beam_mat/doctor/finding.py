"""A row of the doctor's tables."""

from __future__ import annotations

from enum import Enum

import msgspec


class State(str, Enum):
    """The state of something: a `FAULT` keeps conversions from working, an `ABSENCE` does not."""

    GOOD = "ok"
    ABSENCE = "no"
    FAULT = "FAULT"


class Finding(msgspec.Struct, frozen=True):
    """What was examined, its state, what was found, and what to do about it."""

    what: str
    state: State
    found: str
    cure: str = ""
