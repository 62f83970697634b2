"""Shows one row of a dataset."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from beam_mat.core.errors import ConfigError
from beam_mat.show.arguments import ShowArguments, indices
from beam_mat.show.conversation import conversation_of
from beam_mat.show.draw import Drawing
from beam_mat.show.entries import RowFile, row_files
from beam_mat.work.rows import rows


class _Found(msgspec.Struct, frozen=True):
    """A row: its number among all, its file, its place and id there, and what it holds."""

    number: int
    data: RowFile
    index: int
    id: str
    value: object


def show_row(asked: ShowArguments, drawing: Drawing) -> None:
    """Prints the row that was asked for.

    Raises:
        ConfigError: There is no such row.
    """
    listed = row_files(asked.folder, asked.name)
    found, others = _find(listed, asked.id, asked.index or 0)
    counts = [data.rows for data in listed if data.rows is not None]
    of_all = f" of {sum(counts):,}" if len(counts) == len(listed) else ""
    named = f", id {found.id}" if found.id else ""
    drawing.line(f"row {found.number}{of_all}{named}", "bold")
    place = found.data.file.uri.removeprefix(f"{asked.folder}/")
    drawing.line(f"{found.data.entry.name}: {place} row {found.index}", "dim")
    if others:
        # MAT repeats records on purpose, so that training sees them more often.
        drawing.line(f"{len(others):,} more with this id: {indices(others)}", "yellow")
    conversation = conversation_of(found.value, found.data.entry)
    if conversation is None:
        drawing.line("The row has no conversation; beam-mat check says what is wrong with it")
        drawing.value(found.value)
    else:
        drawing.conversation(conversation)


def _find(listed: Sequence[RowFile], id: str | None, index: int) -> tuple[_Found, list[int]]:
    """The first row with this id, or else with this index, and the numbers of others with the id.

    Files that cannot have the index, because a manifest has the numbers of their rows, are not
    read.
    """
    first: _Found | None = None
    others: list[int] = []
    number = 0
    for data in listed:
        if id is None and data.rows is not None and number + data.rows <= index:
            number += data.rows
            continue
        for row in rows(data.file):
            if number == index if id is None else row.id == id:
                if first is None:
                    first = _Found(number, data, row.index, row.id, row.load())
                else:
                    others.append(number)
            number += 1
            if first is not None and id is None:
                return first, others
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
