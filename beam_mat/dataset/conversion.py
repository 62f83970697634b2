"""Collects the content of a conversion's commit from the results of its graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.job import Job
from beam_mat.core.results import MixOutput, ShardSplit
from beam_mat.core.summary import ShardSummary, check_records
from beam_mat.dataset import image_table
from beam_mat.dataset.commit import Content
from beam_mat.dataset.mixes import all_jobs
from beam_mat.dataset.totals import Totals, totals_of
from beam_mat.storage import files
from beam_mat.work import chunks, results


class Conversion(NamedTuple):
    """A finished conversion: the content of its commit, and its totals."""

    content: Content
    totals: Totals


def collect(job: Job) -> Conversion:
    """Reads the results of a job's graph, and writes the image table.

    Args:
        job: The job. Its graph must have ended.

    Raises:
        LostRecordError: A result is missing, or a record is neither accepted nor rejected.
    """
    shards = {one.uri: one for one in _summaries(job)}
    try:
        found = results.read(
            job.settings, layout.MIXES, (one.name for one in all_jobs(shards.values())), MixOutput
        )
        mixes = {mix.job.name: mix for mix in found}
        names = {name for one in shards.values() for name in one.tables}
        table, images = image_table.write_whole(job.settings.output, names)
    except FileNotFoundError as error:
        raise LostRecordError(f"the graph did not write {error}") from error
    totals = totals_of(shards.values(), images)
    sources = {one.uri: one for one in job.sources}
    return Conversion(Content(shards, sources, mixes, (table,), totals.counts()), totals)


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
    """Removes the results of inputs that changed during the job.

    Otherwise they could be used for an input with the old time and size but other content.

    Args:
        job: The job.
        changed: URIs of its inputs that changed.
    """
    settings = job.settings
    files.remove(files.join(settings.output, layout.SUMMARIES, settings.fingerprint))
    gone = set(changed)
    if any(source.uri in gone for source in job.sources):
        files.remove(files.join(settings.output, layout.IMAGE_RESULTS))
    for shard in job.shards:
        if shard.uri in gone:
            _forget_shard(job, shard.stem(settings.digest()))


def _forget_shard(job: Job, stem: str) -> None:
    for folder in (layout.SPLITS, layout.REQUESTS, layout.OUTPUTS):
        for name, file in files.find(files.join(job.settings.output, folder)):
            if name.startswith(stem):
                files.remove_file(file.uri)
