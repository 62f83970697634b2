"""A line of what the doctor says."""

from __future__ import annotations

from enum import Enum

import msgspec


class State(str, Enum):
    """How a thing is: a `FAULT` keeps conversions from working, an `ABSENCE` does not."""

    GOOD = "ok"
    ABSENCE = "no"
    FAULT = "FAULT"


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, what was found, and what to do."""

    what: str
    state: State
    found: str
    cure: str = ""
