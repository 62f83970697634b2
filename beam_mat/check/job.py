"""From checked arguments to a check: the dataset is looked up, all faults told at once."""

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
from beam_mat.runners import choose
from beam_mat.storage import files

REGISTRY = "dataset_info.json"


class Checked(msgspec.Struct):
    """An entry that is checked, with its data files and what is wrong before any file is opened.

    `entry` is None if its faults forbid reading its rows.
    """

    name: str
    entry: Entry | None
    findings: list[Finding]
    files: list[DatasetFile]


class CheckArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The request of a user. Each value is valid, but a file that it names may not exist.

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
    storage_options: str = ""
    beam: Sequence[str] = ()


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


def resolve(asked: CheckArguments, faults: Iterable[str] = ()) -> CheckJob:
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
    if registry:
        if asked.columns:
            raise ConfigError([f"--columns: {registry} describes the columns; remove --columns"])
        _read_registry(job, registry, asked.name)
    else:
        _read_columns(job, asked)
    # An entry may name a file anywhere.
    if faults := _service_faults(asked.beam, {"file_name": [file.uri for file in job.files]}):
        raise ConfigError(faults)
    return job


def _service_faults(beam: Sequence[str], uris: dict[str, list[str]]) -> list[str]:
    faults = choose.runner_faults(beam, uris, detach=False)
    if choose.runner_of(beam) != DATAFLOW:
        return faults
    return faults + [
        f"--{name}: check has to wait for the job to add up the findings; remove it"
        for name in ("template_location", "dry_run")
        if choose.given(beam, name)
    ]


def _find(faults: list[str], dataset: str | None) -> tuple[str, str | None]:
    """The dataset's folder or file, and its registry where there is one."""
    if not dataset:
        return "", None
    try:
        uri = files.normalize(dataset)
        if posixpath.basename(uri) == REGISTRY:
            uri = posixpath.dirname(uri)
        if not files.exists(uri):
            faults.append(f"{dataset}: there is no such file or folder; check the path")
        registry = files.join(uri, REGISTRY)
        return uri, registry if files.is_folder(uri) and files.exists(registry) else None
    except (OSError, ValueError, ImportError) as error:
        faults.append(f"{dataset}: cannot be read ({error}); name a dataset that can")
        return "", None


def _read_registry(job: CheckJob, registry: str, name: str | None) -> None:
    try:
        entries = json.loads(files.read_bytes(registry).decode())
        json.dumps(entries, ensure_ascii=False).encode()  # finds unpaired surrogates
        why = "it is no object" if not isinstance(entries, dict) else None
    except (ValueError, RecursionError) as error:
        entries, why = {}, str(error)
    if why is not None:
        fault = Finding(Kind.REGISTRY_UNREADABLE, Place(), why)
        job.entries.append(Checked(name or REGISTRY, None, [fault], []))
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
        fault = f"--name {asked.name}: there is no {REGISTRY} in {job.dataset} that has entries"
        raise ConfigError([f"{fault}; remove --name, and describe the columns with --columns"])
    if not asked.columns:
        why = f"{asked.dataset}: there is no {REGISTRY}; describe the columns, for example"
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
    checked = Checked(name, entry, findings, [])
    if entry is not None and (why := _list_files(job, checked, entry.file_name)):
        job.skipped[name] = why
    else:
        job.entries.append(checked)


def _list_files(job: CheckJob, checked: Checked, file_name: str) -> str | None:
    """Finds an entry's files; returns why they are none that check reads, or None."""
    found = _located(job.dataset, file_name)
    if found is None:
        why = f"there is no {file_name} below {job.dataset}"
        checked.findings.append(Finding(Kind.FILE_NOT_FOUND, Place(), why))
        return None
    if files.is_folder(found):
        listed = files.entries(found)
        checked.findings += check_folder((name, info is None) for name, info in listed)
    elif file_type(file_name) is None:
        why = f"file_name is {file_name}"
        checked.findings.append(Finding(Kind.FILE_TYPE_UNKNOWN, Place(), why))
        return None
    else:
        listed = [(posixpath.basename(file_name), files.info(found))]
    types = {file_type(name) for name, info in listed if info} - {None}
    if types and not types & {*CHECKED_TYPES}:
        return f"its files are {', '.join(sorted(map(str, types)))}; check reads JSON and Parquet"
    for name, info in listed:
        kind = file_type(name)
        if info and kind in CHECKED_TYPES:
            order = (len(job.entries), len(checked.files))
            checked.files.append(DatasetFile(*order, info.uri, info.size, info.version, kind))
    return None


def _located(folder: str, file_name: str) -> str | None:
    if "://" in file_name or "::" in file_name or not file_name:
        return None
    at = file_name if file_name.startswith("/") else files.join(folder, file_name)
    at = folder if file_name == "." else at
    return at.rstrip("/") if files.exists(at) else None
