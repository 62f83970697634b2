"""The driver's last step: what an entry's notes come to, and what only all rows together show."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Finding, Place, Tally, printable
from beam_mat.core.contract.kind import Kind
from beam_mat.core.contract.runs import BATCH, Runs
from beam_mat.core.contract.shape import Shape, misfit, of_array
from beam_mat.core.contract.unit import FileNote, ImageNote, UnitNote
from beam_mat.core.scan import Layout


class Read(msgspec.Struct):
    """What one reader takes at a time, and the type that it gave it."""

    place: Place
    shape: Shape


def conclude(
    entry: Entry,
    files: Iterable[FileNote],
    units: Iterable[UnitNote],
    images: Iterable[ImageNote],
) -> tuple[Tally, int, int]:
    """Adds an entry up.

    Args:
        entry: The entry.
        files: The notes of its files.
        units: The notes of their units.
        images: The notes of its images and lengths.

    Returns:
        What is wrong, the number of rows, and the number of distinct images.
    """
    tally = Tally()
    by_file = {note.file.order: note for note in sorted(files, key=lambda note: note.file.order)}
    ordered = sorted(units, key=lambda note: (note.unit.file.order, note.unit.number))
    for file in by_file.values():
        for finding in file.findings:
            tally.add(finding)
    distinct = 0
    for image in images:
        tally.merge(image.counts)
        distinct += image.images
    for unit in ordered:
        tally.merge(unit.counts)
    rows = sum(unit.rows for unit in ordered)
    reads = [
        _reads(file, [u for u in ordered if u.unit.file.order == order])
        for order, file in by_file.items()
    ]
    _types(tally, [read for read in reads if read])
    if rows:
        _columns(tally, entry, reads)
        _order(tally, entry, ordered)
    elif not tally.counts():
        tally.add(Finding(Kind.NO_ROWS, Place(), "no file holds a row"))
    return tally, rows, distinct


def _reads(file: FileNote, units: list[UnitNote]) -> list[Read]:
    """A file's types as its reader infers them, one for each time that it reads."""
    place = Place(file.file.order)
    if file.shape is not None:
        return [Read(place, file.shape)]
    shapes = [
        Read(Place(file.file.order, unit.unit.first), unit.shape)
        for unit in units
        if unit.shape is not None and unit.rows
    ]
    if file.layout is not Layout.ARRAY:
        return shapes
    whole = Shape(fields={})
    for read in shapes:
        whole.join(read.shape)
    always = [set(unit.always) for unit in units if unit.rows]
    return [Read(place, of_array(whole, set.intersection(*always) if always else set()))]


def _types(tally: Tally, files: list[list[Read]]) -> None:
    """Casts what each file holds to the types of the one that is read first: any one may be."""
    reads = [read for file in files for read in file]
    clashes = [(read, path) for read in reads if (path := read.shape.clash()) is not None]
    # A clash within a unit was found there; those between the units of an array are seen only here.
    if clashes and not any(count.kind is Kind.TYPE_DRIFT for count in tally.counts()):
        for read, path in clashes:
            why = f"{path} has values of several types"
            tally.add(Finding(Kind.TYPE_DRIFT, read.place, why))
    if clashes:
        return
    types = _distinct(file[0] for file in files)
    for read, number in _distinct(reads):
        for type, _ in types:
            found = misfit(read.shape, type.shape)
            if found:
                kind = Kind.NULL_CAST if found.is_null else Kind.TYPE_DRIFT
                other = type.place.file != read.place.file
                why = found.why + (", when another file is read first" if other else "")
                tally.add(Finding(kind, read.place, why), number)
                break


def _distinct(reads: Iterable[Read]) -> list[tuple[Read, int]]:
    """The first of all that have the same shape, and how many those are."""
    found: dict[bytes, tuple[Read, int]] = {}
    for read in reads:
        key = msgspec.json.encode(read.shape, order="sorted")
        first, number = found.get(key, (read, 0))
        found[key] = (first, number + 1)
    return list(found.values())


def _columns(tally: Tally, entry: Entry, files: list[list[Read]]) -> None:
    known = {key for file in files for read in file for key in read.shape.fields or {}}
    told = {count.kind for count in tally.counts()}
    if told & {Kind.FILE_NOT_CHECKED, Kind.MALFORMED_JSON}:
        return  # rows that could not be read may have it
    for name, column in entry.columns.items():
        if printable(column) not in known:
            tally.add(
                Finding(Kind.COLUMN_UNKNOWN, Place(), f"no row has {column!r}, named as {name}")
            )


def _order(tally: Tally, entry: Entry, units: list[UnitNote]) -> None:
    dropped = _chain(unit.dropped for unit in units)
    whole = dropped.whole_batch()
    if whole is not None:
        place = _place(units, whole)
        size = min(BATCH, dropped.rows - whole)
        tally.add(Finding(Kind.BATCH_DROPPED, place, f"{size} rows from here on are all dropped"))
    for name in sorted({name for unit in units for name in unit.empty}):
        if name not in entry.columns:
            continue
        runs = _chain(unit.empty[name] for unit in units)
        column = entry.columns[name]
        workers = runs.null_workers()
        if 1 in workers:
            why = f"{column} is empty in the first {runs.head} rows"
            tally.add(Finding(Kind.NULL_CAST, Place(0, runs.head), why))
        elif workers:
            listed = ", ".join(map(str, workers[:5])) + (", …" if len(workers) > 5 else "")
            why = f"{column} is empty: fails with preprocessing_num_workers {listed}"
            tally.add(Finding(Kind.TEXT_STRETCH, _longest(units, name), why))
        elif not runs.all_marked:
            _listed_first(tally, units, name, column)


def _listed_first(tally: Tally, units: list[UnitNote], name: str, column: str) -> None:
    by_file: dict[int, Runs] = {}
    for unit in units:
        order = unit.unit.file.order
        by_file[order] = by_file.get(order, Runs()).then(unit.empty[name])
    for order, runs in by_file.items():
        if len(by_file) > 1 and runs.head >= BATCH:
            why = f"{column} is empty in its first {runs.head} rows: fails if it is listed first"
            tally.add(Finding(Kind.TEXT_STRETCH, Place(order, 0), why))


def _chain(runs: Iterable[Runs]) -> Runs:
    whole = Runs()
    for part in runs:
        whole = whole.then(part)
    return whole


def _place(units: list[UnitNote], index: int) -> Place:
    """The place of a row by its index in the entry."""
    for unit in units:
        if index < unit.rows:
            return Place(unit.unit.file.order, unit.unit.first + index)
        index -= unit.rows
    return Place()


def _longest(units: list[UnitNote], name: str) -> Place:
    runs = _chain(unit.empty[name] for unit in units)
    stretches = [*runs.long, (runs.rows - runs.tail, runs.tail), (0, runs.head)]
    return _place(units, max(stretches, key=lambda run: run[1])[0])
