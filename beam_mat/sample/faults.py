"""What breaks in real sets: one element of an array, and why it will be rejected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from beam_mat.core.reject import Reason

FIRST_NUMBER = 1 << 40
"""Faulty records are numbered from here, far from the sound ones, so that no id meets."""


@dataclass(frozen=True)
class Faulty:
    """One element of the JSON array.

    Attributes:
        reason: Why it will be rejected; None for the sound record of a pair with one id.
        repeats_id: Whether an earlier record has its id.
        pieces: Its bytes, in pieces.
    """

    reason: Reason | None
    pieces: Iterable[bytes]
    repeats_id: bool = False
