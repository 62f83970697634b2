"""Finds the row or the rejected records that were asked for, and prints them."""

from collections.abc import Iterator

import msgspec

from beam_mat.core import layout
from beam_mat.core.contract.entry import Entry, read_entry
from beam_mat.core.contract.unit import DatasetFile
from beam_mat.core.display import one_line
from beam_mat.core.errors import ConfigError
from beam_mat.core.reject import Reject
from beam_mat.dataset import entries
from beam_mat.dataset.views import Manifest, read_manifest
from beam_mat.show.printer import Printer
from beam_mat.storage import files
from beam_mat.work.data_files import FoundRow, lines, rows

FIRST_REJECTS = 5
"""How many rejected records are printed when none is named."""
LISTED = 8
"""How many other rows of the same id are listed."""


class RowFile(msgspec.Struct, frozen=True):
    """A data file, its entry of dataset_info.json, and its rows if a manifest has their number."""

    entry: Entry
    file: DatasetFile
    rows: int | None


_Found = tuple[int, RowFile, FoundRow, object]
"""A row: its number among all, its file, itself, and its value."""


def show_row(
    printer: Printer, folder: str, id: str | None, index: int | None, name: str | None
) -> None:
    """Prints the first row with this id, or else the one with this index, by default the first.

    With a name, only rows of this entry are counted. Raises ConfigError if there is no such row.
    """
    listed = _row_files(folder, name)
    (number, data, row, value), others = _find(listed, id, index or 0)
    counts = [data.rows for data in listed if data.rows is not None]
    of_all = f" of {sum(counts):,}" if len(counts) == len(listed) else ""
    printer.line(f"row {number}{of_all}{f', id {row.id}' if row.id else ''}", "bold")
    place = data.file.uri.removeprefix(f"{folder}/")
    printer.line(f"{data.entry.name}: {place} row {row.index}", "dim")
    if others:
        # MAT repeats records on purpose, so that training sees them more often.
        printer.line(f"{len(others):,} more with this id: {_option(others)}", "yellow")
    if not printer.conversation(value, data.entry):
        printer.line("The row has no conversation; beam-mat check says what is wrong with it")
        printer.value(value)


def _find(listed: list[RowFile], id: str | None, index: int) -> tuple[_Found, list[int]]:
    """The row, and the numbers of others with the id.

    Files that cannot have the index, according to a manifest, are not read.
    """
    number = 0
    first: _Found | None = None
    others: list[int] = []
    for data in listed:
        if id is None and data.rows is not None and number + data.rows <= index:
            number += data.rows
            continue
        for row in rows(data.file):
            if id is None and number == index:
                return (number, data, row, row.load()), []
            if row.id == id and first is None:
                first = (number, data, row, row.load())
            elif row.id == id:
                others.append(number)
            number += 1
    if first is not None:
        return first, others
    if id is not None:
        cure = "it may have been rejected (add --rejected), or name a row by --index"
        fault = f"--id {id}: none of {number:,} rows has this id; {cure}"
    elif number:
        fault = f"--index {index}: there are {number:,} rows; give a number from 0 to {number - 1}"
    else:
        fault = f"--index {index}: the files have no rows; beam-mat check says what is wrong"
    raise ConfigError([fault])


def _row_files(folder: str, name: str | None) -> list[RowFile]:
    """The data files of a dataset or of an entry, the training set first.

    If rows exist both as JSON Lines and as Parquet, the JSON Lines are used.
    """
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
        fault = f"{folder}: has no rows to show ({reasons or 'no entry'})"
        cure = "beam-mat check says what is wrong with it"
        other = "beam-mat show --rejected prints rejected records"
        raise ConfigError([f"{fault}; {cure}, and {other}"])
    return found


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


def show_rejects(printer: Printer, folder: str, id: str | None, index: int | None) -> None:
    """Prints the first rejected record with this id, the one with this index, or the first few.

    Raises ConfigError if there is no such record.
    """
    listed = read_manifest(folder)
    if listed is None:
        fault = _no_dataset(folder)
        if files.exists(files.join(folder, layout.DATASET_INFO)):
            why = "so beam-mat did not make it, and there are no rejected records"
            fault = f"{folder}: has no {layout.MANIFEST}, {why}; remove --rejected"
        raise ConfigError([fault])
    few = id is None and index is None
    number, shown, others = -1, 0, []
    for number, reject in enumerate(_rejects(folder, listed)):
        if id not in (None, reject.id) or index not in (None, number):
            continue
        if shown == (FIRST_REJECTS if few else 1):
            others.append(number)
            continue
        if shown:
            printer.line("")
        shown += 1
        printer.line(f"reject {number}{f', id {reject.id}' if reject.id else ''}", "bold")
        printer.reject(reject, briefly=few)
        if index is not None:
            return
    if others:
        with_id = " with this id" if id is not None else ""
        printer.line("")
        printer.line(f"{len(others):,} more{with_id}: --rejected {_option(others)}", "yellow")
    if shown:
        return
    if id is not None:
        cure = "remove --rejected to search the accepted ones"
        raise ConfigError([f"--id {id}: no rejected record has this id; {cure}"])
    if index is not None and number >= 0:
        fault = f"--index {index}: there are {number + 1:,} rejected records"
        raise ConfigError([f"{fault}; give a number from 0 to {number:,}"])
    printer.line("No record was rejected")


def _rejects(folder: str, listed: Manifest) -> Iterator[Reject]:
    for part in listed.rejects:
        for line in lines(files.join(folder, part.path), part.bytes):
            try:
                yield msgspec.json.decode(line, type=Reject)
            except msgspec.DecodeError as error:
                fault = f"{one_line(part.path)}: a line is not a rejected record ({error})"
                cure = "beam-mat verify says whether the file changed"
                raise ConfigError([f"{fault}; {cure}"]) from None


def _option(numbers: list[int]) -> str:
    """The option that prints the first of these rows, and how many more there are."""
    rest = len(numbers) - LISTED
    listed = ", ".join(str(number) for number in numbers[:LISTED])
    return f"--index {listed}{f' and {rest:,} more' if rest > 0 else ''}"
