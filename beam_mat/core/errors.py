"""What can go wrong with a whole job. What is wrong with one record is a `Reject`, not an error."""

from __future__ import annotations


class BeamMatError(Exception):
    """Anything that this package raises on purpose. `exit_code` is what the command returns."""

    exit_code = 1


class ConfigError(BeamMatError):
    """What was asked for cannot be done; `faults` lists every reason found, a sentence each."""

    exit_code = 2

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str]]]:
        return type(self), (self.faults,)


class NothingAskedError(BeamMatError):
    """A command was typed without a word; the text says what to type."""

    exit_code = 2


class SourceError(BeamMatError):
    """An input as a whole cannot be used: a zip without a directory, a file that changed."""


class StoreError(BeamMatError):
    """A store does not do as it should, after retries; the text names the object."""


class OutputError(BeamMatError):
    """The output cannot be written: no space, no permission; the text names the path."""


class OutputInUseError(BeamMatError):
    """Another run is writing to the same output folder."""


class UnfinishedError(BeamMatError):
    """A job that is to be published is not done yet."""


class WorkerLostError(BeamMatError):
    """A worker process died."""


class LostRecordError(BeamMatError):
    """The counts do not add up: a bug, and a reason not to publish."""


class TooManyRejectedError(BeamMatError):
    """More records were rejected than ``--max-rejected`` allows."""

    exit_code = 3


class DamagedError(BeamMatError):
    """``beam-mat verify`` found files that are not as the manifest says."""

    exit_code = 3
