"""Every error that this program raises on purpose, with its exit code."""

from __future__ import annotations


class MatTrainerError(Exception):
    """Something failed; the message names the value, the cause and the cure."""

    exit_code = 1


class _Faults(MatTrainerError):
    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


class ConfigError(_Faults):
    """The options, the recipe or the dataset are invalid; with every fault, one sentence each."""

    exit_code = 2


class UnreachableError(ConfigError):
    """A dataset cannot be read from this machine; another machine may."""


class PreflightError(_Faults):
    """Training would fail; with every fault that was found before it, one sentence each."""

    exit_code = 4


class NodeError(PreflightError):
    """A node is missing or lost, which another start may cure: clusters start such jobs again."""

    exit_code = 1
