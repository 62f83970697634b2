"""Finds the files of the dataset, and makes a job of the arguments."""

import json
import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from beam_mat.core.contract.entry import ANSWERS, CHECKED_TYPES, Entry, file_type, read_entry
from beam_mat.core.contract.examine import Rules
from beam_mat.core.contract.finding import Finding, Kind
from beam_mat.core.contract.unit import DatasetFile
from beam_mat.core.errors import ConfigError
from beam_mat.core.job import DATAFLOW
from beam_mat.core.layout import DATASET_INFO
from beam_mat.dataset import entries
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


class CheckJob(msgspec.Struct, kw_only=True):
    """A check as a user asks for it. `resolve` finds what it names and completes it.

    `dataset` is the folder or the only data file, and after `resolve` the URI of the folder.
    `media` is the folder that image paths start from, "" for that of the dataset. `storage` are the
    storage options as typed, and after `resolve` those for workers. `skipped` has the reason why an
    entry is not among `entries`, by name.
    """

    dataset: str
    name: str | None
    media: str
    columns: dict[str, str]
    tags: dict[str, str]
    rules: Rules
    storage: str
    image_workers: int
    beam: Sequence[str]
    entries: list[Checked] = []
    skipped: dict[str, str] = {}

    @property
    def files(self) -> list[DatasetFile]:
        """The data files of all entries."""
        return [file for checked in self.entries for file in checked.files]


def resolve(job: CheckJob, faults: Iterable[str]) -> None:
    """Looks the dataset up, and adds what is to be checked.

    Raises a ConfigError with every fault of the request, after `faults`. Faults of the dataset are
    findings.
    """
    faults = list(faults)
    job.storage = choose.storage_for_workers(faults, job.storage, choose.runner_of(job.beam))
    folder, registry = _find(faults, job.dataset)
    named = {"DATASET": job.dataset, "--media-dir": job.media}
    faults += _service_faults(job.beam, {name: [uri] for name, uri in named.items() if uri})
    if faults:
        raise ConfigError(faults)
    if job.media and not files.is_folder(files.normalize(job.media)):
        fault = f"--media-dir {job.media}: there is no such folder; check the path"
        raise ConfigError([fault])
    if not registry:
        _read_columns(job, folder)
    elif job.columns:
        raise ConfigError([f"--columns: {registry} describes the columns; remove --columns"])
    else:
        job.dataset = folder
        _read_registry(job, registry)
    job.media = files.normalize(job.media) if job.media else job.dataset
    # An entry may name a file anywhere.
    if faults := _service_faults(job.beam, {"file_name": [file.uri for file in job.files]}):
        raise ConfigError(faults)


def _service_faults(beam: Sequence[str], uris: dict[str, list[str]]) -> list[str]:
    faults = choose.runner_faults(beam, uris, detach=False)
    if choose.runner_of(beam) == DATAFLOW:
        faults += [
            f"--{name}: check has to wait for the job to add up the findings; remove it"
            for name in ("template_location", "dry_run")
            if choose.given(beam, name)
        ]
    return faults


def _find(faults: list[str], dataset: str) -> tuple[str, str | None]:
    """The dataset's folder or file, and its registry where there is one."""
    if not dataset:
        return "", None
    try:
        uri = files.normalize(dataset)
        if posixpath.basename(uri) == DATASET_INFO:
            uri = posixpath.dirname(uri)
        if not files.exists(uri):
            faults.append(f"{dataset}: {_absent(dataset)}")
        registry = files.join(uri, DATASET_INFO)
        return uri, registry if files.is_folder(uri) and files.exists(registry) else None
    except (OSError, ValueError, ImportError) as error:
        faults.append(f"{dataset}: cannot be read ({error}); name a dataset that can")
        return "", None


def _absent(dataset: str) -> str:
    if not re.search(r"@[0-9]+/?$", dataset):
        return "there is no such file or folder; check the path"
    cure = "remove the number; beam-mat show and diff read older ones"
    return f"check reads the newest generation of a dataset only; {cure}"


def _read_registry(job: CheckJob, registry: str) -> None:
    try:
        found = entries.read(registry)
        json.dumps(found, ensure_ascii=False).encode()  # finds unpaired surrogates
    except ValueError as error:
        fault = Finding(Kind.REGISTRY_UNREADABLE, str(error))
        job.entries.append(Checked(job.name or DATASET_INFO, None, [fault], []))
        return
    for name, value in entries.named(found, job.name, registry).items():
        _add(job, name, value)
    if not job.entries:
        reasons = [f"{name}: cannot be checked: {why}" for name, why in job.skipped.items()]
        empty = f"{registry} has no entry; add one, with file_name and columns"
        raise ConfigError(reasons or [empty])


def _read_columns(job: CheckJob, uri: str) -> None:
    if job.name:
        fault = f"--name {job.name}: there is no {DATASET_INFO} in {uri} that has entries"
        raise ConfigError([f"{fault}; remove --name, and describe the columns with --columns"])
    is_folder = files.is_folder(uri)
    if not is_folder and file_type(posixpath.basename(uri)) not in CHECKED_TYPES:
        why = f"{job.dataset}: is not a dataset: check reads folders, and files whose names end in"
        raise ConfigError([f"{why} .json, .jsonl or .parquet; name the dataset's folder"])
    if not job.columns:
        why = f"{job.dataset}: there is no {DATASET_INFO}; describe the columns, for example"
        raise ConfigError([f"{why} --columns messages=messages images=images"])
    folder, name = posixpath.split(uri)
    value: dict[str, Any] = {"formatting": "sharegpt", "columns": job.columns}
    if job.tags:
        value["tags"] = job.tags
    if {*ANSWERS} & job.columns.keys():
        value["ranking"] = True
    job.dataset = uri if is_folder else folder
    _add(job, name, {**value, "file_name": "." if is_folder else name})


def _add(job: CheckJob, name: str, value: object) -> None:
    read = read_entry(name, value)
    if isinstance(read, str):
        job.skipped[name] = read
        return
    entry, findings = read
    found = entries.files_of(job.dataset, entry.file_name, findings) if entry else []
    types = {kind for _, kind in found if kind}
    if types and not types & {*CHECKED_TYPES}:
        types_found = ", ".join(sorted(types))
        job.skipped[name] = f"its files are {types_found}; check reads JSON and Parquet"
        return
    listed = entries.checked_files(len(job.entries), found)
    job.entries.append(Checked(name, entry, findings, listed))
