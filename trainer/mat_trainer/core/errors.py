"""Every error that this program raises on purpose, each with its exit code.

Training's own exit code is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Sequence


class MatTrainerError(Exception):
    """Something failed; the message names the value, the cause and the cure."""

    exit_code = 1


class _Faults(MatTrainerError):
    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class ConfigError(_Faults):
    """What was asked for cannot be: every fault of it, one sentence each."""

    exit_code = 2


class UnreachableError(ConfigError):
    """A dataset cannot be seen from this machine; another one may."""


class PreflightError(_Faults):
    """What was asked for would fail: everything found before the first step, a sentence each."""

    exit_code = 4
