"""job.json: the conversion that was started in an output folder but not committed."""

from __future__ import annotations

from typing import Any

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.job import Job
from beam_mat.dataset import stored
from beam_mat.dataset.fingerprint import configuration, made_by
from beam_mat.storage import files


class Pending(msgspec.Struct, frozen=True):
    """The content of job.json.

    Attributes:
        fingerprint, made_by, configuration, keep: As in a commit.
        job: The job. Other versions of this package may be unable to decode it.
    """

    fingerprint: str
    made_by: dict[str, str]
    configuration: dict[str, Any]
    keep: int | None
    job: msgspec.Raw


def read(output: str) -> Pending | None:
    """Returns the uncommitted conversion, or None.

    Raises:
        ConfigError: The file cannot be decoded.
    """
    return stored.read(files.join(output, layout.PENDING), "job", Pending)


def write(job: Job, keep: int | None) -> None:
    """Writes the file, without storage options and without values that belong to this run."""
    settings = msgspec.structs.replace(job.settings, progress="", storage="")
    pending = Pending(
        settings.fingerprint,
        made_by(settings),
        configuration(settings, job.limit),
        keep,
        msgspec.Raw(msgspec.json.encode(msgspec.structs.replace(job, settings=settings))),
    )
    files.write_bytes(
        files.join(settings.output, layout.PENDING),
        msgspec.json.encode(pending),
        files.join(settings.output, layout.SCRATCH),
    )


def remove(output: str) -> None:
    """Removes the file."""
    files.remove_file(files.join(output, layout.PENDING))


def job_of(pending: Pending) -> Job:
    """Returns the job.

    Raises:
        ConfigError: This version cannot decode the job.
    """
    try:
        return msgspec.json.decode(pending.job, type=Job)
    except msgspec.DecodeError as error:
        raise ConfigError(
            [
                f"beam-mat {pending.made_by.get('beam-mat')} started this job, and this version "
                f"cannot read it ({error}); publish it with that version, or start over with "
                "beam-mat convert --overwrite"
            ]
        ) from error
