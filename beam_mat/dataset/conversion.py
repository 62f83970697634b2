"""A conversion: its configuration and fingerprint, and what it has until it is committed.

These are job.json, and the content that its graph has written.
"""

import hashlib
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import msgspec

import beam_mat
from beam_mat.core import layout
from beam_mat.core.errors import ConfigError, LostRecordError
from beam_mat.core.job import Job
from beam_mat.core.png import ZLIB
from beam_mat.core.results import MixOutput, ShardSplit, ShardSummary, check_records
from beam_mat.core.settings import FORMAT, Settings
from beam_mat.dataset import image_table
from beam_mat.dataset.commit import Content, Made, counts_of
from beam_mat.storage import files
from beam_mat.work import chunks, results
from beam_mat.work.mix import plan_mixes

_PACKAGES = ("apache-beam", "pillow", "pyarrow")
_DECIDE_BYTES = ("beam-mat", "resizer", "zlib", "pillow", "pyarrow")


def made_by(settings: Settings) -> dict[str, str]:
    """Returns the versions of the packages that make a dataset."""
    versions = {package: metadata.version(package) for package in _PACKAGES}
    made = {"beam-mat": beam_mat.__version__, "resizer": settings.resizer, "zlib": ZLIB}
    return {**made, **versions}


def configuration(settings: Settings, limit: int | None) -> dict[str, Any]:
    """Returns the options that affect the output bytes, by name."""
    return {
        "max_pixels": settings.images.budget.max_pixels,
        "min_pixels": settings.images.budget.min_pixels,
        "schema": settings.schema.value if settings.schema else "auto",
        "name": settings.name,
        "rewrite": [list(pair) for pair in settings.prefixes],
        "formats": list(settings.formats),
        "val_fraction": settings.val_fraction,
        "zip_encoding": settings.zip_encoding or None,
        "duplicates": "drop" if settings.drop_duplicates else "keep",
        "records": settings.records or None,
        "exif": "apply" if settings.images.apply_exif else "ignore",
        "reencode": settings.images.reencode,
        "fast_decode": settings.images.fast_decode,
        "background": "white" if settings.images.white_background else "none",
        "high_bit_depth": "scale" if settings.images.scale_values else "clip",
        "limit": limit,
    }


def made_of(settings: Settings, command: str, keep: int | None, limit: int | None = None) -> Made:
    """Returns how a command makes its generations."""
    options = configuration(settings, limit)
    return Made(command, settings.fingerprint, made_by(settings), options, keep)


def fingerprint(job: Job) -> str:
    """Returns a hash of inputs and configuration: jobs with equal hashes write the same dataset."""
    versions = made_by(job.settings)
    key = [
        FORMAT,
        job.shards,
        job.sources,
        configuration(job.settings, job.limit),
        [versions[name] for name in _DECIDE_BYTES],
    ]
    return hashlib.sha256(msgspec.json.encode(key)).hexdigest()[:16]


class Pending(msgspec.Struct, frozen=True):
    """The content of job.json: a conversion that was started but not committed.

    Other versions of this package may be unable to decode `job`. The rest is as in a commit.
    """

    fingerprint: str
    made_by: dict[str, str]
    configuration: dict[str, Any]
    keep: int | None
    job: msgspec.Raw


def differences(output: str, now: Made, there: Made | Pending) -> list[str]:
    """Returns why `now` cannot continue what is `there`: one sentence per option or version."""
    faults = []
    defaults = configuration(Settings(output), None)  # of options that did not exist then
    for name, value in now.configuration.items():
        was = there.configuration.get(name, defaults[name])
        option = f"--{name.replace('_', '-')}"
        if was == value:
            continue
        if isinstance(value, bool):
            how, cure = ("without it", "leave it out") if value else ("with it", "add it")
            faults.append(f"{option}: the dataset in {output} was made {how}; {cure}")
        else:
            faults.append(
                f"{option} {_typed(value)}: the dataset in {output} was made with {_typed(was)}; "
                "pass the same value"
            )
    for name in _DECIDE_BYTES:
        had = there.made_by.get(name)
        if had != now.made_by[name]:
            faults.append(
                f"{name} {now.made_by[name]}: the dataset in {output} was made with "
                f"{had or 'another library'}, whose output may differ; install that version"
            )
    return [f"{one}, choose another folder, or start over with --overwrite" for one in faults]


def _typed(value: Any) -> str:
    """Returns a value of the configuration as a user would type it.

    >>> _typed(["jsonl", "parquet"]), _typed([["data/", "x/"]]), _typed(None)
    ('jsonl,parquet', 'data/=x/ --no-default-rewrite', 'none')
    """
    if not isinstance(value, list):
        return "none" if value is None else str(value)
    if all(isinstance(pair, list) for pair in value):
        pairs = ["=".join(pair) for pair in value]
        if value[-1:] == [list(pair) for pair in layout.DEFAULT_REWRITE]:
            return " ".join(pairs[:-1] or pairs)
        return " ".join([*pairs, "--no-default-rewrite"])
    return ",".join(value)


def read_pending(output: str) -> Pending | None:
    """Returns the uncommitted conversion, or None. Raises ConfigError if it cannot be decoded."""
    return results.read_stored(files.join(output, layout.PENDING), "job", Pending)


def write_pending(job: Job, keep: int | None) -> None:
    """Writes job.json, without storage options and without values that belong to this run."""
    settings = msgspec.structs.replace(job.settings, progress="", storage="")
    stored = msgspec.json.encode(msgspec.structs.replace(job, settings=settings))
    options = configuration(settings, job.limit)
    pending = Pending(settings.fingerprint, made_by(settings), options, keep, msgspec.Raw(stored))
    uri = files.join(settings.output, layout.PENDING)
    scratch = files.join(settings.output, layout.SCRATCH)
    files.write_bytes(uri, msgspec.json.encode(pending), scratch)


def job_of(pending: Pending) -> Job:
    """Returns the job. Raises ConfigError if this version of the package cannot decode it."""
    try:
        return msgspec.json.decode(pending.job, type=Job)
    except msgspec.DecodeError as error:
        by = f"beam-mat {pending.made_by.get('beam-mat')} started this job"
        fault = f"{by}, and this version cannot read it ({error})"
        cure = "publish it with that version, or start over with beam-mat convert --overwrite"
        raise ConfigError([f"{fault}; {cure}"]) from error


def collect(job: Job) -> Content:
    """Reads the results of a job whose graph has ended, and writes the image table.

    Raises LostRecordError if a result is missing, or a record is neither accepted nor rejected.
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
    sources = {one.uri: one for one in job.sources}
    return Content(shards, sources, mixes, (table,), counts_of(shards.values(), images))


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
    for folder in (layout.SUMMARIES, layout.MISSING):
        files.remove(files.join(settings.output, folder, settings.fingerprint))
    if any(source.uri in gone for source in job.sources):
        files.remove(files.join(settings.output, layout.IMAGE_RESULTS))
    stems = tuple(shard.stem(settings.digest()) for shard in job.shards if shard.uri in gone)
    for folder in (layout.SPLITS, layout.REQUESTS, layout.OUTPUTS) if stems else ():
        for name, file in files.find(files.join(settings.output, folder)):
            if name.startswith(stems):
                files.remove_file(file.uri)
