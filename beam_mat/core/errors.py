"""Errors of a whole job. A problem with a single record is a `Reject`, not an error."""


class BeamMatError(Exception):
    """The base class of all errors of this package. The command exits with `exit_code`."""

    exit_code = 1


class ConfigError(BeamMatError):
    """The configuration is invalid. `faults` lists every problem, one sentence each."""

    exit_code = 2

    def __init__(self, faults: list[str]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(self.faults)


class NothingAskedError(BeamMatError):
    """A command was run without arguments. The message says how to use it."""

    exit_code = 2


class SourceError(BeamMatError):
    """An input cannot be used at all, such as a zip without a directory or a changed file."""


class ShardError(SourceError):
    """A file among the JSON shards has no records that can be found: it is something else."""


class StoreError(BeamMatError):
    """A storage operation failed after all retries. The message names the object."""


class OutputError(BeamMatError):
    """The output cannot be written (no space, no permission). The message names the path."""


class OutputInUseError(BeamMatError):
    """Another run is writing to the same output folder."""


class UnfinishedError(BeamMatError):
    """A job cannot be published because it has not finished."""


class WorkerLostError(BeamMatError):
    """A worker process died."""


class LostRecordError(BeamMatError):
    """The counts do not add up. This is a bug, so nothing is published."""


class TooManyRejectedError(BeamMatError):
    """More was rejected, or could not be read, than ``--max-rejected`` allows."""

    exit_code = 3


class DamagedError(BeamMatError):
    """``beam-mat verify`` found files that do not match the manifest."""

    exit_code = 3
