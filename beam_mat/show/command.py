"""From a command line to a trajectory on the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import msgspec
from rich.console import Console

from beam_mat import manifest
from beam_mat.command_line import CommandLine
from beam_mat.core import layout
from beam_mat.core.display import one_line
from beam_mat.core.errors import ConfigError
from beam_mat.core.reject import Reject
from beam_mat.manifest import Manifest
from beam_mat.output_argument import add_output, folder_of
from beam_mat.show.conversation import conversation_of
from beam_mat.show.draw import Drawing
from beam_mat.show.entries import RowFile, no_dataset, row_files
from beam_mat.storage import files
from beam_mat.storage.rows import lines, rows

FIRST_REJECTS = 5
NAMED_PLACES = 8


def command_line() -> CommandLine:
    """The command's words."""
    line = CommandLine(
        "show",
        "Prints one trajectory of a dataset turn by turn, with its images, or the records that "
        "were rejected, with what to do about each. It reads what beam-mat convert writes, and "
        "any folder of sharegpt files with a dataset_info.json.",
        (
            "beam-mat show dataset",
            "beam-mat show dataset --index 12 --full",
            "beam-mat show dataset --id i0AjblJ-",
            "beam-mat show dataset --rejected",
            "beam-mat show gs://bucket/datasets/mat --rejected --index 3",
        ),
        more="Exit codes: 0 shown, 1 failed, 2 configuration (no such row is one).",
    )
    add_output(line, "DATASET", "the dataset's folder")
    which = line.add_mutually_exclusive_group()
    which.add_argument("--id", metavar="ID", help="the first row with this id")
    which.add_argument(
        "--index", type=int, metavar="N", help="row N, from 0, the validation set last (default: 0)"
    )
    line.add_argument(
        "--rejected",
        action="store_true",
        help=f"rejected records instead: the first {FIRST_REJECTS}, or the one named",
    )
    line.add_argument("--name", metavar="ENTRY", help="rows of this entry of dataset_info.json")
    line.add_argument(
        "--full", action="store_true", help="nothing shortened: the system prompt, long records"
    )
    return line


def show(argv: Sequence[str], console: Console | None = None) -> None:
    """Runs the command.

    Args:
        argv: What follows ``show``.
        console: Where to print.

    Raises:
        BeamMatError: With the exit code that it stands for.
    """
    typed = command_line().read(argv)
    if typed.index is not None and typed.index < 0:
        raise ConfigError([f"--index {typed.index}: rows are counted from 0; give 0 or more"])
    if typed.rejected and typed.name is not None:
        raise ConfigError(
            [f"--name {typed.name}: rejected records are in no entry; leave out --name"]
        )
    folder = folder_of(typed)
    drawing = Drawing(console or Console(), folder, full=typed.full)
    if typed.rejected:
        _show_rejects(folder, typed, drawing)
    else:
        _show_row(folder, typed, drawing)


class _Found(msgspec.Struct, frozen=True):
    """A row: its number among all, its file, its place and id there, and what it holds."""

    number: int
    data: RowFile
    index: int
    id: str
    value: object


def _show_row(folder: str, typed: argparse.Namespace, drawing: Drawing) -> None:
    listed = row_files(folder, typed.name)
    others: list[int] = []
    if typed.id is not None:
        found, others = _with_id(listed, typed.id)
    else:
        found = _at(listed, typed.index or 0)
    counts = [data.rows for data in listed if data.rows is not None]
    of_all = f" of {sum(counts):,}" if len(counts) == len(listed) else ""
    named = f", id {found.id}" if found.id else ""
    drawing.line(f"row {found.number}{of_all}{named}", "bold")
    place = found.data.file.uri.removeprefix(f"{folder}/")
    drawing.line(f"{found.data.entry.name}: {place} row {found.index}", "dim")
    if others:
        # MAT repeats records on purpose, to have them seen more often.
        drawing.line(f"{len(others):,} more with this id: {_indices(others)}", "yellow")
    conversation = conversation_of(found.value, found.data.entry)
    if conversation is None:
        drawing.line("The row holds no conversation; beam-mat check tells what is wrong with it")
        drawing.value(found.value)
    else:
        drawing.conversation(conversation)


def _at(listed: Sequence[RowFile], index: int) -> _Found:
    """The row with this index; files whose manifest says that it is not in them are not read."""
    before = 0
    for data in listed:
        if data.rows is not None and before + data.rows <= index:
            before += data.rows
            continue
        for row in rows(data.file):
            if before == index:
                return _Found(index, data, row.index, row.id, row.load())
            before += 1
    if not before:
        fault = f"--index {index}: the files hold no row; beam-mat check tells what is wrong"
    else:
        fault = f"--index {index}: there are {before:,} rows; give a number from 0 to {before - 1}"
    raise ConfigError([fault])


def _with_id(listed: Sequence[RowFile], id: str) -> tuple[_Found, list[int]]:
    """The first row with this id, and the numbers of the others."""
    first: _Found | None = None
    others = []
    number = 0
    for data in listed:
        for row in rows(data.file):
            if row.id == id and first is None:
                first = _Found(number, data, row.index, row.id, row.load())
            elif row.id == id:
                others.append(number)
            number += 1
    if first is None:
        cure = "it may have been rejected (add --rejected), or name a row by --index"
        raise ConfigError([f"--id {id}: none of {number:,} rows has this id; {cure}"])
    return first, others


def _indices(numbers: Sequence[int]) -> str:
    rest = len(numbers) - NAMED_PLACES
    listed = ", ".join(str(number) for number in numbers[:NAMED_PLACES])
    return f"--index {listed}{f' and {rest:,} more' if rest > 0 else ''}"


def _show_rejects(folder: str, typed: argparse.Namespace, drawing: Drawing) -> None:
    listed = manifest.read(folder)
    if listed is None:
        raise ConfigError([_no_rejects(folder)])
    chosen = typed.index is not None or typed.id is not None
    shown, others, number = 0, [], -1
    for number, reject in enumerate(_rejects(folder, listed)):
        if not _is_wanted(typed, number, reject):
            continue
        if shown >= (1 if chosen else FIRST_REJECTS):
            others.append(number)
            continue
        if shown:
            drawing.line("")
        shown += 1
        named = f", id {reject.id}" if reject.id else ""
        drawing.line(f"reject {number}{named}", "bold")
        drawing.reject(reject, briefly=not chosen)
        if typed.index is not None:
            return
    if others:
        drawing.line("")
        with_id = " with this id" if typed.id is not None else ""
        drawing.line(f"{len(others):,} more{with_id}: --rejected {_indices(others)}", "yellow")
    if not shown:
        _none_wanted(typed, number + 1, drawing)


def _is_wanted(typed: argparse.Namespace, number: int, reject: Reject) -> bool:
    if typed.id is not None:
        return bool(reject.id == typed.id)
    return typed.index is None or bool(typed.index == number)


def _none_wanted(typed: argparse.Namespace, count: int, drawing: Drawing) -> None:
    if typed.id is not None:
        raise ConfigError(
            [
                f"--id {typed.id}: no rejected record has this id; leave out --rejected to look "
                "among the accepted ones"
            ]
        )
    if typed.index is not None and count:
        raise ConfigError(
            [
                f"--index {typed.index}: there are {count:,} rejected records; give a number from "
                f"0 to {count - 1:,}"
            ]
        )
    drawing.line("No record was rejected")


def _no_rejects(folder: str) -> str:
    if files.exists(files.join(folder, layout.DATASET_INFO)):
        return (
            f"{folder}: there is no {layout.MANIFEST}, so it is no dataset of beam-mat, which "
            "alone keeps rejected records; leave out --rejected"
        )
    return no_dataset(folder)


def _rejects(folder: str, listed: Manifest) -> Iterator[Reject]:
    for part in listed.rejects:
        for line in lines(files.join(folder, part.path), part.bytes):
            try:
                yield msgspec.json.decode(line, type=Reject)
            except msgspec.DecodeError as error:
                raise ConfigError(
                    [
                        f"{one_line(part.path)}: a line is no rejected record ({error}); "
                        "beam-mat verify tells whether the file changed"
                    ]
                ) from None
