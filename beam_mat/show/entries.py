"""Which files of a dataset have its rows, and the names of their columns."""

from __future__ import annotations

import json
import posixpath

import msgspec

from beam_mat.core import layout
from beam_mat.core.contract.entry import CHECKED_TYPES, Entry, Unsupported, file_type, read_entry
from beam_mat.core.contract.unit import DatasetFile
from beam_mat.core.display import one_line
from beam_mat.core.errors import ConfigError
from beam_mat.dataset import manifest
from beam_mat.storage import files


class RowFile(msgspec.Struct, frozen=True):
    """A data file, its entry of dataset_info.json, and its rows if a manifest has their number."""

    entry: Entry
    file: DatasetFile
    rows: int | None


def row_files(folder: str, name: str | None) -> list[RowFile]:
    """The data files of a dataset, entry by entry in order, the training set first.

    If rows exist both as JSON Lines and as Parquet, the JSON Lines are used. With `name`, only
    this entry is used.

    Raises:
        ConfigError: There is no such dataset or entry, or it cannot be read.
    """
    entries, unread = _entries(folder, name)
    counts = {}
    if listed := manifest.read(folder):
        counts = {files.join(folder, part.path): part.rows for part in listed.parts}
        if name is None:
            # Our own datasets may have the same rows as Parquet.
            entries = [one for one in entries if one.file_name.startswith("jsonl")] or entries
    found = [
        RowFile(entry, file, counts.get(file.uri))
        for place, entry in enumerate(entries)
        for file in _data_files(folder, place, entry)
    ]
    if counts:
        # In a watched dataset there may be parts of a generation that is not committed yet.
        found = [data for data in found if data.rows is not None]
    if not found:
        reasons = "; ".join([*unread, *(f"{entry.name} has no data file" for entry in entries)])
        fault = f"{folder}: has no rows to show ({reasons or 'no entry'})"
        cure = "beam-mat check says what is wrong with it"
        other = "beam-mat show --rejected prints rejected records"
        raise ConfigError([f"{fault}; {cure}, and {other}"])
    return found


def _entries(folder: str, name: str | None) -> tuple[list[Entry], list[str]]:
    registry = files.join(folder, layout.DATASET_INFO)
    try:
        listed = json.loads(files.read_bytes(registry).decode())
    except FileNotFoundError:
        raise ConfigError([no_dataset(folder)]) from None
    except (ValueError, RecursionError) as error:
        fault = f"{registry}: is not JSON ({error}); correct it, or convert again"
        raise ConfigError([fault]) from None
    if not isinstance(listed, dict):
        raise ConfigError([f"{registry}: is not an object of entries; write it as {{NAME: {{…}}}}"])
    if name is not None and name not in listed:
        known = one_line(", ".join(sorted(listed)[:20])) or "no entry"
        raise ConfigError([f"--name {name}: {registry} has no such entry; it has {known}"])
    entries, unread = [], []
    for known, value in listed.items():
        if name not in (None, known):
            continue
        read = read_entry(known, value)
        if isinstance(read, Unsupported):
            unread.append(one_line(f"{known}: {read.why}"))
        elif read[0] is None:
            unread.append(one_line(f"{known}: {read[1][0].detail}"))
        else:
            entries.append(read[0])
    return entries, unread


def no_dataset(folder: str) -> str:
    """The fault of a folder that is not a dataset."""
    if not files.exists(folder):
        return f"{folder}: there is no such folder; check the path"
    if files.exists(files.join(folder, layout.WORK)):
        return (
            f"{folder}: the conversion into it is not finished; run the same beam-mat convert "
            "again, which resumes"
        )
    return (
        f"{folder}: has no {layout.DATASET_INFO}, so it is not a dataset; name the --output of "
        "beam-mat convert, or a folder that LLaMA-Factory reads"
    )


def _data_files(folder: str, place: int, entry: Entry) -> list[DatasetFile]:
    if not entry.file_name or "://" in entry.file_name or "::" in entry.file_name:
        return []
    is_absolute = entry.file_name.startswith("/")
    named = entry.file_name if is_absolute else files.join(folder, entry.file_name)
    at = folder if entry.file_name == "." else files.normalize(named)
    if files.is_folder(at):
        listed = [info for _, info in files.entries(at) if info]
    else:
        only = files.file_at(at) if files.exists(at) else None
        listed = [only] if only else []
    return [
        DatasetFile(place, order, info.uri, info.size, info.version, kind)
        for order, info in enumerate(listed)
        if (kind := file_type(posixpath.basename(info.uri))) in CHECKED_TYPES
    ]
