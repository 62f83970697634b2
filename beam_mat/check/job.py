"""From options to a check: every value looked at, every fault told at once."""

from __future__ import annotations

import argparse
import json
import posixpath
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions

from beam_mat.check.options import MODELS, command_line
from beam_mat.config import DATAFLOW, runner_of, take_storage, whole_number
from beam_mat.core.contract.entry import (
    CHECKED_TYPES,
    COLUMNS,
    TAGS,
    Entry,
    Unsupported,
    check_folder,
    file_type,
    read_entry,
)
from beam_mat.core.contract.examine import Rules
from beam_mat.core.contract.finding import Finding, Place
from beam_mat.core.contract.kind import Kind
from beam_mat.core.contract.unit import DatasetFile
from beam_mat.core.errors import ConfigError
from beam_mat.storage import files

REGISTRY = "dataset_info.json"


class Checked(msgspec.Struct):
    """An entry that is checked.

    Attributes:
        name: Its name.
        entry: How to read its rows; None where its faults forbid it.
        findings: What is wrong before any file is opened.
        files: Its data files, in order.
    """

    name: str
    entry: Entry | None
    findings: list[Finding]
    files: list[DatasetFile]


class CheckJob(msgspec.Struct):
    """A check, ready to run.

    Attributes:
        dataset: URI of the folder, or of the only file.
        media: URI of ``media_dir``.
        entries: What is checked.
        skipped: Why other entries are not, by name.
        rules: What training will be told.
        storage: See `beam_mat.core.settings.Settings`.
    """

    dataset: str
    media: str
    entries: list[Checked]
    skipped: dict[str, str]
    rules: Rules
    storage: str

    @property
    def files(self) -> list[DatasetFile]:
        """The data files of all entries."""
        return [file for checked in self.entries for file in checked.files]


def resolve(
    typed: argparse.Namespace, options: PipelineOptions, unknown: Sequence[str]
) -> CheckJob:
    """Looks the dataset up.

    Args:
        typed: This command's options.
        options: Beam's.
        unknown: Words that nobody knows.

    Raises:
        ConfigError: With every fault of what was asked for; what is wrong with the dataset is none.
    """
    faults = command_line().unknown(unknown)
    rules = _rules(faults, typed)
    columns = _pairs(faults, "--columns", typed.columns, COLUMNS)
    tags = _pairs(faults, "--tags", typed.tags, TAGS)
    if tags and not columns:
        faults.append("--tags is given without --columns; say --columns messages=... too")
    storage = take_storage(faults, typed.storage_options or "", runner_of(options))
    folder, registry = _find(faults, typed.dataset)
    named = {"DATASET": typed.dataset, "--media-dir": typed.media_dir}
    faults += _service_faults(options, {name: [uri] for name, uri in named.items() if uri})
    if faults:
        raise ConfigError(faults)
    job = CheckJob(folder, folder, [], {}, rules, storage)
    if typed.media_dir:
        job.media = files.normalize(typed.media_dir)
        if not files.is_folder(job.media):
            raise ConfigError(
                [f"--media-dir {typed.media_dir}: there is no such folder; check the path"]
            )
    if registry:
        if columns:
            raise ConfigError([f"--columns: {registry} says them already; leave them out"])
        _read_registry(job, registry, typed.name)
    else:
        _read_columns(job, typed, columns, tags)
    # An entry may name a file anywhere.
    if faults := _service_faults(options, {"file_name": [file.uri for file in job.files]}):
        raise ConfigError(faults)
    return job


def _service_faults(options: PipelineOptions, uris: dict[str, list[str]]) -> list[str]:
    if runner_of(options) != DATAFLOW:
        return []
    from beam_mat import dataflow

    faults = dataflow.faults(options, uris)
    given = options.get_all_options(drop_default=True)
    return faults + [
        f"--{name}: the findings are added up by who waits for the job; leave it out"
        for name in ("template_location", "dry_run")
        if given.get(name)
    ]


def _rules(faults: list[str], typed: argparse.Namespace) -> Rules:
    pixels = whole_number(faults, "--image-max-pixels", typed.image_max_pixels, 28 * 28) or 0
    if (typed.model is None) != (typed.cutoff_len is None):
        faults.append("--model and --cutoff-len belong together; give both or none")
    if typed.model is not None and typed.model not in MODELS:
        faults.append(f"--model {typed.model}: give {', '.join(MODELS)}")
    cutoff = typed.cutoff_len and whole_number(faults, "--cutoff-len", typed.cutoff_len, 1)
    return Rules(pixels, cutoff, MODELS.get(typed.model or ""))


def _pairs(
    faults: list[str],
    option: str,
    pairs: Sequence[str] | None,
    known: Iterable[str],
) -> dict[str, str]:
    given = {}
    for pair in pairs or ():
        name, sign, word = pair.partition("=")
        if not sign or not word or name not in known:
            faults.append(f"{option} {pair}: give NAME=WORD with NAME one of {', '.join(known)}")
        given[name] = word
    return given


def _find(faults: list[str], dataset: str | None) -> tuple[str, str | None]:
    """The dataset's folder or file, and its registry where there is one."""
    if not dataset:
        faults.append("DATASET is missing: name it first, as in beam-mat check dataset")
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
        raise ConfigError(
            reasons or [f"{registry} has no entry; add one, with file_name and columns"]
        )


def _read_columns(
    job: CheckJob, typed: argparse.Namespace, columns: dict[str, str], tags: dict[str, str]
) -> None:
    if typed.name:
        raise ConfigError(
            [
                f"--name {typed.name}: there is no {REGISTRY} in {job.dataset} that has entries; "
                "leave out --name, and say what the columns are by --columns"
            ]
        )
    if not columns:
        why = f"{typed.dataset}: there is no {REGISTRY}; say what the columns are, as in --columns"
        raise ConfigError([f"{why} messages=messages images=images"])
    value: dict[str, Any] = {"formatting": "sharegpt", "columns": columns}
    if tags:
        value["tags"] = tags
    at = job.dataset
    if files.is_folder(at):
        _add(job, posixpath.basename(at), {**value, "file_name": "."})
        return
    job.dataset = posixpath.dirname(at)
    if not typed.media_dir:
        job.media = job.dataset
    name = posixpath.basename(at)
    _add(job, name, {**value, "file_name": name})


def _add(job: CheckJob, name: str, value: object) -> None:
    read = read_entry(name, value)
    if isinstance(read, Unsupported):
        job.skipped[name] = read.why
        return
    entry, findings = read
    checked = Checked(name, entry, findings, [])
    if entry is not None:
        why = _list_files(job, checked, entry.file_name)
        if why:
            job.skipped[name] = why
            return
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
    place = len(job.entries)
    for name, info in listed:
        kind = file_type(name)
        if info and kind in CHECKED_TYPES:
            order = len(checked.files)
            checked.files.append(DatasetFile(place, order, info.uri, info.size, info.version, kind))
    return None


def _located(folder: str, file_name: str) -> str | None:
    if "://" in file_name or "::" in file_name or not file_name:
        return None
    at = file_name if file_name.startswith("/") else files.join(folder, file_name)
    at = folder if file_name == "." else at
    return at.rstrip("/") if files.exists(at) else None
