"""The data files and the rejects of a dataset, or of one of its generations."""

import msgspec

from beam_mat.core import layout
from beam_mat.core.contract.entry import Entry, read_entry
from beam_mat.core.contract.unit import DatasetFile
from beam_mat.core.display import one_line
from beam_mat.core.errors import ConfigError
from beam_mat.core.settings import JSONL
from beam_mat.dataset import entries, log
from beam_mat.dataset.commit import Snapshot
from beam_mat.dataset.views import dataset_info, name_of, read_manifest
from beam_mat.storage import files


class RowFile(msgspec.Struct, frozen=True):
    """A data file, its entry of dataset_info.json, and its rows if a manifest has their number."""

    entry: Entry
    file: DatasetFile
    rows: int | None


class RejectFile(msgspec.Struct, frozen=True):
    """A file of rejected records: its path below the output folder, its URI and its size."""

    path: str
    uri: str
    bytes: int


def row_files(folder: str, number: int | None, name: str | None) -> list[RowFile]:
    """The data files of a dataset or of an entry, the training set first.

    `number` is a generation; None is the newest. If rows exist both as JSON Lines and as Parquet,
    the JSON Lines are used.
    """
    if number is not None:
        return _files_at(folder, number, name)
    listed, unread = _entries(folder, name)
    counts, splits = {}, {}
    if known := read_manifest(folder):
        counts = {files.join(folder, part.path): part.rows for part in known.parts}
        splits = {files.join(folder, part.path): part.split for part in known.parts}
        if name is None:
            # Our own datasets may have the same rows as Parquet.
            listed = [one for one in listed if one.file_name.startswith("jsonl")] or listed
    found = [
        RowFile(entry, file, counts.get(file.uri))
        for place, entry in enumerate(listed)
        for file in entries.checked_files(place, entries.files_of(folder, entry.file_name, []))
    ]
    if counts:
        # In a watched dataset there may be parts of a generation that is not committed yet.
        found = [data for data in found if data.rows is not None]
        found.sort(key=lambda data: splits[data.file.uri] == layout.VAL)
    if not found:
        reasons = "; ".join([*unread, *(f"{entry.name} has no data file" for entry in listed)])
        raise ConfigError([_no_rows(folder, reasons)])
    return found


def _files_at(folder: str, number: int, name: str | None) -> list[RowFile]:
    snapshot = log.snapshot(folder, number)
    there = log.snapshot(folder).files()
    parts = snapshot.parts()
    info = entries.named(dataset_info(parts, name_of(snapshot)), name, f"{folder}@{number}")
    if name is None and any(part.format == JSONL for part in parts):
        parts = [part for part in parts if part.format == JSONL]
    found: list[tuple[bool, RowFile]] = []
    for at, (known, value) in enumerate(info.items()):
        read = read_entry(known, value)
        assert not isinstance(read, str)
        entry = read[0]
        assert entry is not None
        for part in parts:
            if layout.part_folder(part.format, part.subset, part.split) == entry.file_name:
                type = "json" if part.format == JSONL else part.format
                uri = _uri(folder, part.path, there)
                file = DatasetFile(at, len(found), uri, part.bytes, part.sha256, type)
                found.append((part.split == layout.VAL, RowFile(entry, file, part.rows)))
    if not found:
        raise ConfigError([_no_rows(f"{folder}@{number}", "no entry")])
    return [file for _, file in sorted(found, key=lambda one: one[0])]


def _uri(folder: str, path: str, newest: set[str]) -> str:
    """The URI of a file of a generation. `newest` are the paths of the newest generation."""
    return files.join(folder, path if path in newest else f"{layout.REPLACED}/{path}")


def _no_rows(dataset: str, reasons: str) -> str:
    fault = f"{dataset}: has no rows to show ({reasons or 'no entry'})"
    cure = "beam-mat check says what is wrong with it"
    return f"{fault}; {cure}, and beam-mat show --rejected prints rejected records"


def _entries(folder: str, name: str | None) -> tuple[list[Entry], list[str]]:
    """The entries whose rows can be read, and why others cannot."""
    registry = files.join(folder, layout.DATASET_INFO)
    try:
        found = entries.read(registry)
    except FileNotFoundError:
        raise ConfigError([_no_dataset(folder)]) from None
    except ValueError as error:
        fault = f"{registry}: is not JSON that lists entries ({error})"
        raise ConfigError([f"{fault}; correct it, or convert again"]) from None
    readable, unread = [], []
    for known, value in entries.named(found, name, registry).items():
        read = read_entry(known, value)
        if isinstance(read, str):
            unread.append(one_line(f"{known}: {read}"))
        elif read[0] is None:
            unread.append(one_line(f"{known}: {read[1][0].detail}"))
        else:
            readable.append(read[0])
    return readable, unread


def _no_dataset(folder: str) -> str:
    if not files.exists(folder):
        return f"{folder}: there is no such folder; check the path"
    if files.exists(files.join(folder, layout.WORK)):
        cure = "run the same beam-mat convert again, which resumes"
        return f"{folder}: the conversion into it is not finished; {cure}"
    cure = "name the --output of beam-mat convert, or a folder that LLaMA-Factory reads"
    return f"{folder}: has no {layout.DATASET_INFO}, so it is not a dataset; {cure}"


def reject_files(folder: str, number: int | None) -> list[RejectFile]:
    """The files of the rejected records of a dataset, or of one of its generations."""
    if number is not None:
        snapshot: Snapshot = log.snapshot(folder, number)
        there = log.snapshot(folder).files()
        return [
            RejectFile(part.path, _uri(folder, part.path, there), part.bytes)
            for part in snapshot.rejects()
        ]
    listed = read_manifest(folder)
    if listed is None:
        fault = _no_dataset(folder)
        if files.exists(files.join(folder, layout.DATASET_INFO)):
            why = "so beam-mat did not make it, and there are no rejected records"
            fault = f"{folder}: has no {layout.MANIFEST}, {why}; remove --rejected"
        raise ConfigError([fault])
    return [
        RejectFile(part.path, files.join(folder, part.path), part.bytes) for part in listed.rejects
    ]
