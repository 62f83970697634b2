"""The entries of a dataset_info.json and their data files, of any dataset and not only our own."""

import json
from collections.abc import Iterable
from typing import Any

from beam_mat.core.contract.entry import CHECKED_TYPES, check_folder, file_type
from beam_mat.core.contract.finding import Finding, Kind
from beam_mat.core.contract.unit import DatasetFile
from beam_mat.core.display import one_line
from beam_mat.core.errors import ConfigError
from beam_mat.storage import files


def read(registry: str) -> dict[str, Any]:
    """The entries in the file. Raises FileNotFoundError, or ValueError if it is no JSON object."""
    try:
        entries = json.loads(files.read_bytes(registry).decode())
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if not isinstance(entries, dict):
        raise ValueError("it is not an object of entries")
    return entries


def named(entries: dict[str, Any], name: str | None, registry: str) -> dict[str, Any]:
    """The entry with this name, or all. Raises ConfigError if there is no such entry."""
    if name is None:
        return entries
    if name not in entries:
        listed = one_line(", ".join(sorted(entries)[:20])) or "no entry"
        raise ConfigError([f"--name {name}: {registry} has no such entry; it has {listed}"])
    return {name: entries[name]}


def files_of(
    folder: str, file_name: str, findings: list[Finding]
) -> list[tuple[files.FileInfo, str | None]]:
    """The data files of an entry, by name, each with its type; see `file_type`.

    What is wrong with the entry's `file_name` is added to `findings`. `folder` is that of
    dataset_info.json.
    """
    is_path = file_name and "://" not in file_name and "::" not in file_name
    at = file_name if file_name.startswith("/") else files.join(folder, file_name)
    at = folder if file_name == "." else at.rstrip("/")
    if not is_path or not files.exists(at):
        why = f"there is no {file_name} below {folder}"
        findings.append(Finding(Kind.FILE_NOT_FOUND, why))
    elif files.is_folder(at):
        found = files.entries(at)
        findings += check_folder((name, info is None) for name, info in found)
        return [(info, file_type(name)) for name, info in found if info]
    elif kind := file_type(file_name):
        return [(files.info(at), kind)]
    else:
        findings.append(Finding(Kind.FILE_TYPE_UNKNOWN, f"file_name is {file_name}"))
    return []


def checked_files(
    entry: int, found: Iterable[tuple[files.FileInfo, str | None]]
) -> list[DatasetFile]:
    """Those files of an entry whose rows can be read: JSON and Parquet."""
    readable = [(info, kind) for info, kind in found if kind in CHECKED_TYPES]
    return [
        DatasetFile(entry, order, info.uri, info.size, info.version, str(kind))
        for order, (info, kind) in enumerate(readable)
    ]
