"""A conversion that is not committed: job.json, and the content that its graph has written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError, LostRecordError
from beam_mat.core.job import Job
from beam_mat.core.results import MixOutput, ShardSplit
from beam_mat.core.summary import ShardSummary, check_records
from beam_mat.dataset import image_table, stored
from beam_mat.dataset.commit import Content
from beam_mat.dataset.fingerprint import configuration, made_by
from beam_mat.dataset.totals import Totals, totals_of
from beam_mat.storage import files
from beam_mat.work import chunks, results
from beam_mat.work.mix import plan_mixes


class Pending(msgspec.Struct, frozen=True):
    """The content of job.json: a conversion that was started but not committed.

    Attributes:
        fingerprint, made_by, configuration, keep: As in a commit.
        job: The job. Other versions of this package may be unable to decode it.
    """

    fingerprint: str
    made_by: dict[str, str]
    configuration: dict[str, Any]
    keep: int | None
    job: msgspec.Raw


def read_pending(output: str) -> Pending | None:
    """Returns the uncommitted conversion, or None.

    Raises:
        ConfigError: The file cannot be decoded.
    """
    return stored.read(files.join(output, layout.PENDING), "job", Pending)


def write_pending(job: Job, keep: int | None) -> None:
    """Writes job.json, without storage options and without values that belong to this run."""
    settings = msgspec.structs.replace(job.settings, progress="", storage="")
    pending = Pending(
        settings.fingerprint,
        made_by(settings),
        configuration(settings, job.limit),
        keep,
        msgspec.Raw(msgspec.json.encode(msgspec.structs.replace(job, settings=settings))),
    )
    uri = files.join(settings.output, layout.PENDING)
    scratch = files.join(settings.output, layout.SCRATCH)
    files.write_bytes(uri, msgspec.json.encode(pending), scratch)


def job_of(pending: Pending) -> Job:
    """Returns the job of an uncommitted conversion.

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


def collect(job: Job) -> tuple[Content, Totals]:
    """Reads the results of a job whose graph has ended, and writes the image table.

    Raises:
        LostRecordError: A result is missing, or a record is neither accepted nor rejected.
    """
    settings = job.settings
    shards = {one.uri: one for one in _summaries(job)}
    mix_names = (one.name for one in plan_mixes(shards.values())[1])
    tables = {name for one in shards.values() for name in one.tables}
    try:
        found = results.read(settings, layout.MIXES, mix_names, MixOutput)
        mixes = {mix.job.name: mix for mix in found}
        table, images = image_table.write_whole(settings.output, tables)
    except FileNotFoundError as error:
        raise LostRecordError(f"the graph did not write {error}") from error
    totals = totals_of(shards.values(), images)
    sources = {one.uri: one for one in job.sources}
    return Content(shards, sources, mixes, (table,), totals.counts()), totals


def _summaries(job: Job) -> Iterator[ShardSummary]:
    settings = job.settings
    stems = [shard.stem(settings.digest()) for shard in job.shards]
    try:
        splits = list(results.read(settings, layout.SPLITS, stems, ShardSplit))
        full = [stem for stem, split in zip(stems, splits, strict=True) if split.chunks]
        names = (f"{settings.fingerprint}/{stem}" for stem in full)
        read = results.read(settings, layout.SUMMARIES, names, ShardSummary)
        summed = {one.stem: one for one in read}
    except FileNotFoundError as error:
        raise LostRecordError(f"a shard is not finished: {error} is missing") from error
    for shard, stem, split in zip(job.shards, stems, splits, strict=True):
        # A shard without records has no chunks, so no step has summed it up.
        one = summed[stem] if split.chunks else chunks.summary(settings, shard, ())
        if one.records != split.records or one.shard != shard:
            raise LostRecordError(
                f"{shard.uri}: the summary ({one.records} records) does not match the shard "
                f"({split.records} records)"
            )
        check_records(one)
        yield one


def forget(job: Job, changed: list[str]) -> None:
    """Removes the results of inputs that changed during the job; `changed` has their URIs.

    Otherwise they could be used for an input with the old time and size but other content.
    """
    settings, gone = job.settings, set(changed)
    files.remove(files.join(settings.output, layout.SUMMARIES, settings.fingerprint))
    if any(source.uri in gone for source in job.sources):
        files.remove(files.join(settings.output, layout.IMAGE_RESULTS))
    stems = tuple(shard.stem(settings.digest()) for shard in job.shards if shard.uri in gone)
    for folder in (layout.SPLITS, layout.REQUESTS, layout.OUTPUTS) if stems else ():
        for name, file in files.find(files.join(settings.output, folder)):
            if name.startswith(stems):
                files.remove_file(file.uri)
