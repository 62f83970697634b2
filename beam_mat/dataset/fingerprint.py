"""The configuration of a job, and the hash of its inputs and configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import msgspec

import beam_mat
from beam_mat.core.job import Job
from beam_mat.core.settings import FORMAT, Settings
from beam_mat.dataset.commit import Made

_PACKAGES = ("apache-beam", "pillow", "pyarrow")
_DECIDE_BYTES = ("beam-mat", "resizer", "pillow", "pyarrow")


def made_by(settings: Settings) -> dict[str, str]:
    """Returns the versions of the packages that make a dataset."""
    versions = {package: metadata.version(package) for package in _PACKAGES}
    return {"beam-mat": beam_mat.__version__, "resizer": settings.resizer, **versions}


def configuration(settings: Settings, limit: int | None) -> dict[str, Any]:
    """Returns the options that affect the output bytes, by name."""
    return {
        "max_pixels": settings.budget.max_pixels,
        "min_pixels": settings.budget.min_pixels,
        "rewrite": [list(pair) for pair in settings.prefixes],
        "formats": list(settings.formats),
        "val_fraction": settings.val_fraction,
        "duplicates": "drop" if settings.drop_duplicates else "keep",
        "exif": "apply" if settings.apply_exif else "ignore",
        "limit": limit,
    }


def made_of(settings: Settings, command: str, keep: int | None, limit: int | None = None) -> Made:
    """Returns how a command makes its generations."""
    return Made(
        command=command,
        fingerprint=settings.fingerprint,
        made_by=made_by(settings),
        configuration=configuration(settings, limit),
        keep=keep,
    )


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


def differences(
    output: str,
    now: tuple[Mapping[str, Any], Mapping[str, str]],
    there: tuple[Mapping[str, Any], Mapping[str, str]],
) -> list[str]:
    """Returns why a job cannot continue a dataset: one sentence per option or version.

    `now` and `there` are configuration and versions of the job and of the dataset.
    """
    faults = []
    for name, value in now[0].items():
        was = there[0].get(name)
        if was != value:
            faults.append(
                f"--{name.replace('_', '-')} {_typed(value)}: the dataset in {output} was made "
                f"with {_typed(was)}; pass the same value"
            )
    for name in _DECIDE_BYTES:
        had = there[1].get(name)
        if had != now[1][name]:
            faults.append(
                f"{name} {now[1][name]}: the dataset in {output} was made with {had}, whose output "
                "may differ; install that version"
            )
    return [f"{one}, choose another folder, or start over with --overwrite" for one in faults]


def _typed(value: Any) -> str:
    """Returns a value of the configuration as a user would type it.

    >>> _typed(["jsonl", "parquet"]), _typed([["data/", "x/"]]), _typed(None)
    ('jsonl,parquet', 'data/=x/', 'none')
    """
    if not isinstance(value, list):
        return "none" if value is None else str(value)
    if any(isinstance(pair, list) for pair in value):
        return " ".join("=".join(pair) for pair in value)
    return ",".join(value)
