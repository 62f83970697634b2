"""What an earlier run left in the output folder, and what it means for this one.

There is a dataset when there is a manifest. Notes below the work folder tell which units of work
are done, of a dataset as of a job that broke off: either is gone on from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from beam_mat import manifest
from beam_mat.config import Job
from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.settings import Ground
from beam_mat.manifest import Manifest
from beam_mat.storage import files
from beam_mat.storage.notes import is_json

_DECIDE_BYTES = ("beam-mat", "resizer", "pillow", "pyarrow")


class Begun(msgspec.Struct, frozen=True):
    """job.json: the job that was begun last on this output.

    Attributes:
        made_by: As in the manifest.
        configuration: As in the manifest.
        job: The job, to be read by the version that wrote it.
    """

    made_by: dict[str, str]
    configuration: dict[str, Any]
    job: msgspec.Raw


class Earlier(msgspec.Struct, frozen=True):
    """What there is.

    Attributes:
        manifest: The dataset's, or None when there is no dataset.
        begun: The job that was begun last, or None when the work folder tells of none.
        remains: Whether there are files though neither of the two is.
    """

    manifest: Manifest | None
    begun: Begun | None
    remains: bool = False

    def is_of(self, job: Job) -> bool:
        """Whether there is the very dataset that `job` would make.

        What a watch left is not: it may have been killed before it took in what its manifest tells
        of, and keeps records with an image that has been taken out of its zip since.
        """
        if self.manifest is None or self.manifest.configuration != manifest.configuration(job):
            return False
        if read_job(self.begun).settings.watched if self.begun else self.manifest.generation:
            return False
        records = {shard.uri: shard.records for shard in self.manifest.inputs.json}
        if records.keys() != {shard.uri for shard in job.shards}:
            return False
        return self.manifest.inputs == manifest.inputs_of(job, records)

    def resumed(self, job: Job) -> Job:
        """`job` with what its steps need to know of earlier runs."""
        generation = manifest.generation(job)
        ground = Ground.EMPTY
        if self.begun:
            last = read_job(self.begun).settings
            if last.generation == generation:
                ground = last.ground
            else:
                # A watch writes over images in place, and may end before it notes what it wrote.
                whole = self.manifest and not last.watched
                ground = Ground.DATASET if whole else Ground.RUINS
        elif self.manifest or self.remains:
            ground = Ground.RUINS  # no notes can be believed
        settings = msgspec.structs.replace(
            job.settings, generation=generation, again=self.begun is not None, ground=ground
        )
        return msgspec.structs.replace(job, settings=settings)


class Plan(msgspec.Struct, frozen=True):
    """What is to be done.

    Attributes:
        job: The job, with what its steps need to know of earlier runs.
        done: The manifest of the dataset that the job would make, when it is there already.
        clear: Whether everything that is there is to go first.
    """

    job: Job
    done: Manifest | None = None
    clear: bool = False


def plan(job: Job) -> Plan:
    """Decides whether a job begins anew, goes on from what is there, or has nothing to do.

    Raises:
        ConfigError: What is there was made otherwise, and is not to be replaced.
    """
    try:
        found = look(job.settings.output)
        faults = differences(job, found)
        if job.overwrite and (found.manifest or faults):
            return Plan(Earlier(None, None).resumed(job), clear=True)
        if found.is_of(job):
            return Plan(job, done=found.manifest)
        if faults:
            raise ConfigError(faults)
        return Plan(found.resumed(job))
    except ConfigError:
        if not job.overwrite:
            raise
        return Plan(Earlier(None, None).resumed(job), clear=True)


def look(output: str) -> Earlier:
    """Reads what there is.

    Raises:
        ConfigError: It cannot be understood.
    """
    uri = files.join(output, layout.JOB)
    begun = None
    try:
        begun = msgspec.json.decode(files.read_bytes(uri, is_json), type=Begun)
    except FileNotFoundError:
        pass
    except msgspec.DecodeError as error:
        raise ConfigError(
            [f"{uri}: cannot be understood ({error}); name another folder or say --overwrite"]
        ) from error
    found = manifest.read(output)
    return Earlier(found, begun, not found and not begun and _holds_files(output))


def _holds_files(output: str) -> bool:
    """Whether there is more than the right to write there, and what is not whole yet."""
    held = (f"{layout.LEASE}/", f"{layout.SCRATCH}/")
    return any(not name.startswith(held) for name, _ in files.find(output))


def read_job(begun: Begun) -> Job:
    """The job that was begun.

    Raises:
        ConfigError: Another version of this package began it.
    """
    try:
        return msgspec.json.decode(begun.job, type=Job)
    except msgspec.DecodeError as error:
        raise ConfigError(
            [
                f"the job was begun by beam-mat {begun.made_by.get('beam-mat')}, which this "
                f"version does not understand ({error}); publish with that version, or begin "
                "anew with beam-mat convert --overwrite"
            ]
        ) from error


def describe(job: Job) -> Begun:
    """What job.json says of a job: nothing that only this run knows, and no storage options."""
    settings = msgspec.structs.replace(job.settings, progress="", storage="")
    kept = msgspec.structs.replace(job, settings=settings)
    return Begun(
        manifest.made_by(job), manifest.configuration(job), msgspec.Raw(msgspec.json.encode(kept))
    )


def differences(job: Job, found: Earlier) -> list[str]:
    """Why a job cannot go on from what is there: a sentence for each option and version."""
    there = found.manifest or found.begun
    if there is None:
        return []
    output = job.settings.output
    faults = []
    now = manifest.configuration(job)
    for name, value in now.items():
        was = there.configuration.get(name)
        if was != value:
            faults.append(
                f"--{name.replace('_', '-')} {_typed(value)}: what is in {output} was made with "
                f"{_typed(was)}; say that, name another folder, or replace all by --overwrite"
            )
    versions = manifest.made_by(job)
    for name in _DECIDE_BYTES:
        had = there.made_by.get(name)
        if had != versions[name]:
            faults.append(
                f"{name} {versions[name]}: what is in {output} was made with {had}, which may "
                "write other bytes; install that, name another folder, or replace all by "
                "--overwrite"
            )
    return faults


def _typed(value: Any) -> str:
    """A value of the configuration as a user would type it.

    >>> _typed(["jsonl", "parquet"]), _typed([["data/", "x/"]]), _typed(None)
    ('jsonl,parquet', 'data/=x/', 'none')
    """
    if value is None:
        return "none"
    if not isinstance(value, list):
        return str(value)
    pairs: Iterable[Any] = value
    if any(isinstance(pair, list) for pair in pairs):
        return " ".join("=".join(pair) for pair in pairs)
    return ",".join(pairs)
