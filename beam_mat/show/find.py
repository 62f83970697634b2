"""Finds the row or the rejected records that were asked for, and prints them."""

from collections.abc import Iterable, Iterator

import msgspec

from beam_mat.core.display import one_line
from beam_mat.core.errors import ConfigError
from beam_mat.core.reject import Reject
from beam_mat.show.parts import RejectFile, RowFile, reject_files, row_files
from beam_mat.show.printer import Printer
from beam_mat.work.data_files import FoundRow, lines, rows

Which = tuple[str | None, int | None]
"""What a user names: the first one with an id, or the one with an index."""
FIRST_REJECTS = 5
"""How many rejected records are printed when none is named."""
LISTED = 8
"""How many other rows of the same id are listed."""


_Found = tuple[int, RowFile, FoundRow, object]
"""A row: its number among all, its file, itself, and its value."""


def show_row(
    printer: Printer, folder: str, which: Which, name: str | None, number: int | None = None
) -> None:
    """Prints the row, by default the first, of a dataset or of its generation `number`.

    With a name, only rows of this entry are counted. Raises ConfigError if there is no such row.
    """
    listed = row_files(folder, number, name)
    id, index = which
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


def show_rejects(printer: Printer, folder: str, which: Which, number: int | None = None) -> None:
    """Prints the rejected record, or the first few if none is named.

    `number` is a generation; None is the newest. Raises ConfigError if there is no such record.
    """
    id, index = which
    few = id is None and index is None
    at, shown, others = -1, 0, []
    for at, reject in enumerate(_rejects(reject_files(folder, number))):
        if id not in (None, reject.id) or index not in (None, at):
            continue
        if shown == (FIRST_REJECTS if few else 1):
            others.append(at)
            continue
        if shown:
            printer.line("")
        shown += 1
        printer.line(f"reject {at}{f', id {reject.id}' if reject.id else ''}", "bold")
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
    if index is not None and at >= 0:
        fault = f"--index {index}: there are {at + 1:,} rejected records"
        raise ConfigError([f"{fault}; give a number from 0 to {at:,}"])
    printer.line("No record was rejected")


def _rejects(listed: Iterable[RejectFile]) -> Iterator[Reject]:
    for part in listed:
        for line in lines(part.uri, part.bytes):
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
