"""Finds the files of the dataset, and makes a job of the arguments."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from beam_mat.core.contract.entry import (
    CHECKED_TYPES,
    Entry,
    Unsupported,
    check_folder,
    file_type,
    read_entry,
)
from beam_mat.core.contract.examine import Rules
from beam_mat.core.contract.finding import Finding, Kind, Place
from beam_mat.core.contract.unit import DatasetFile
from beam_mat.core.errors import ConfigError
from beam_mat.core.job import DATAFLOW
from beam_mat.core.layout import DATASET_INFO
from beam_mat.runners import choose
from beam_mat.storage import files


class Checked(msgspec.Struct):
    """An entry that is checked, with its data files and what is wrong before any file is opened.

    `entry` is None if its faults forbid reading its rows.
    """

    name: str
    entry: Entry | None
    findings: list[Finding]
    files: list[DatasetFile]


class CheckArguments(msgspec.Struct, frozen=True, kw_only=True):
    """A user's arguments. Each value is valid, but a file that it names may not exist.

    `name` is the only entry to check. Image paths start from `media_dir`, by default the dataset's
    folder. `columns` and `tags` describe a dataset without dataset_info.json. `storage_options` are
    as typed. `beam` has Beam's options, see `beam_mat.runners.choose`.
    """

    dataset: str | None
    name: str | None
    media_dir: str | None
    columns: dict[str, str]
    tags: dict[str, str]
    rules: Rules
    storage_options: str
    beam: Sequence[str]


class CheckJob(msgspec.Struct):
    """A check, ready to run.

    `skipped` has the reason why other entries are not checked, by name. `dataset` is the URI of the
    folder or of the only file, `media` that of ``media_dir``. For `runner` and `storage` see
    `beam_mat.core.job.Job` and `beam_mat.core.settings.Settings`.
    """

    dataset: str
    media: str
    entries: list[Checked]
    skipped: dict[str, str]
    rules: Rules
    runner: str
    image_threads: int
    storage: str

    @property
    def files(self) -> list[DatasetFile]:
        """The data files of all entries."""
        return [file for checked in self.entries for file in checked.files]


def resolve(asked: CheckArguments, faults: Iterable[str]) -> CheckJob:
    """Looks the dataset up.

    Args:
        asked: What to check.
        faults: Faults that are known already, to be raised together with the others.

    Raises:
        ConfigError: With every fault of the request. Faults of the dataset are findings.
    """
    faults = list(faults)
    runner = choose.runner_of(asked.beam)
    storage = choose.storage_for_workers(faults, asked.storage_options, runner)
    folder, registry = _find(faults, asked.dataset)
    named = {"DATASET": asked.dataset, "--media-dir": asked.media_dir}
    faults += _service_faults(asked.beam, {name: [uri] for name, uri in named.items() if uri})
    if faults:
        raise ConfigError(faults)
    threads = choose.image_threads(asked.beam)
    job = CheckJob(folder, folder, [], {}, asked.rules, runner, threads, storage)
    if asked.media_dir:
        job.media = files.normalize(asked.media_dir)
        if not files.is_folder(job.media):
            fault = f"--media-dir {asked.media_dir}: there is no such folder; check the path"
            raise ConfigError([fault])
    if not registry:
        _read_columns(job, asked)
    elif asked.columns:
        raise ConfigError([f"--columns: {registry} describes the columns; remove --columns"])
    else:
        _read_registry(job, registry, asked.name)
    # An entry may name a file anywhere.
    if faults := _service_faults(asked.beam, {"file_name": [file.uri for file in job.files]}):
        raise ConfigError(faults)
    return job


def _service_faults(beam: Sequence[str], uris: dict[str, list[str]]) -> list[str]:
    faults = choose.runner_faults(beam, uris, detach=False)
    if choose.runner_of(beam) == DATAFLOW:
        faults += [
            f"--{name}: check has to wait for the job to add up the findings; remove it"
            for name in ("template_location", "dry_run")
            if choose.given(beam, name)
        ]
    return faults


def _find(faults: list[str], dataset: str | None) -> tuple[str, str | None]:
    """The dataset's folder or file, and its registry where there is one."""
    if not dataset:
        return "", None
    try:
        uri = files.normalize(dataset)
        if posixpath.basename(uri) == DATASET_INFO:
            uri = posixpath.dirname(uri)
        if not files.exists(uri):
            faults.append(f"{dataset}: there is no such file or folder; check the path")
        registry = files.join(uri, DATASET_INFO)
        return uri, registry if files.is_folder(uri) and files.exists(registry) else None
    except (OSError, ValueError, ImportError) as error:
        faults.append(f"{dataset}: cannot be read ({error}); name a dataset that can")
        return "", None


def _read_registry(job: CheckJob, registry: str, name: str | None) -> None:
    try:
        entries = json.loads(files.read_bytes(registry).decode())
        json.dumps(entries, ensure_ascii=False).encode()  # finds unpaired surrogates
        if not isinstance(entries, dict):
            raise ValueError("it is not an object")
    except (ValueError, RecursionError) as error:
        fault = Finding(Kind.REGISTRY_UNREADABLE, Place(), str(error))
        job.entries.append(Checked(name or DATASET_INFO, None, [fault], []))
        return
    if name is not None and name not in entries:
        listed = ", ".join(sorted(entries)[:20]) or "no entry"
        raise ConfigError([f"--name {name}: {registry} has no such entry; it has {listed}"])
    for known, value in entries.items():
        if name in (None, known):
            _add(job, known, value)
    if not job.entries:
        reasons = [f"{known}: cannot be checked: {why}" for known, why in job.skipped.items()]
        empty = f"{registry} has no entry; add one, with file_name and columns"
        raise ConfigError(reasons or [empty])


def _read_columns(job: CheckJob, asked: CheckArguments) -> None:
    if asked.name:
        fault = f"--name {asked.name}: there is no {DATASET_INFO} in {job.dataset} that has entries"
        raise ConfigError([f"{fault}; remove --name, and describe the columns with --columns"])
    if not asked.columns:
        why = f"{asked.dataset}: there is no {DATASET_INFO}; describe the columns, for example"
        raise ConfigError([f"{why} --columns messages=messages images=images"])
    value: dict[str, Any] = {"formatting": "sharegpt", "columns": asked.columns}
    if asked.tags:
        value["tags"] = asked.tags
    name = value["file_name"] = posixpath.basename(job.dataset)
    if files.is_folder(job.dataset):
        value["file_name"] = "."
    else:
        job.dataset = posixpath.dirname(job.dataset)
        job.media = job.media if asked.media_dir else job.dataset
    _add(job, name, value)


def _add(job: CheckJob, name: str, value: object) -> None:
    read = read_entry(name, value)
    if isinstance(read, Unsupported):
        job.skipped[name] = read.why
        return
    entry, findings = read
    found = _listed(job.dataset, entry.file_name, findings) if entry else []
    types = {str(kind) for _, kind in found if kind}
    if types and not types & {*CHECKED_TYPES}:
        why = f"its files are {', '.join(sorted(types))}; check reads JSON and Parquet"
        job.skipped[name] = why
        return
    data = [(info, kind) for info, kind in found if kind in CHECKED_TYPES]
    place = len(job.entries)
    listed = [
        DatasetFile(place, order, info.uri, info.size, info.version, str(kind))
        for order, (info, kind) in enumerate(data)
    ]
    job.entries.append(Checked(name, entry, findings, listed))


def _listed(
    folder: str, file_name: str, findings: list[Finding]
) -> list[tuple[files.FileInfo, str | None]]:
    """The files of an entry with their types. Adds what is wrong with `file_name`."""
    is_path = file_name and "://" not in file_name and "::" not in file_name
    at = file_name if file_name.startswith("/") else files.join(folder, file_name)
    at = folder if file_name == "." else at.rstrip("/")
    if not is_path or not files.exists(at):
        why = f"there is no {file_name} below {folder}"
        findings.append(Finding(Kind.FILE_NOT_FOUND, Place(), why))
    elif files.is_folder(at):
        found = files.entries(at)
        findings += check_folder((name, info is None) for name, info in found)
        return [(info, file_type(name)) for name, info in found if info]
    elif kind := file_type(file_name):
        return [(files.info(at), kind)]
    else:
        findings.append(Finding(Kind.FILE_TYPE_UNKNOWN, Place(), f"file_name is {file_name}"))
    return []
