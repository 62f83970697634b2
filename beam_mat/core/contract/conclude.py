"""The last step of a check: merges the results of an entry and checks its rows as a whole."""

import functools
from collections.abc import Iterable

import msgspec

from beam_mat.core.contract.entry import Entry
from beam_mat.core.contract.finding import Finding, Kind, Place, Tally, printable
from beam_mat.core.contract.row import NULLABLE
from beam_mat.core.contract.shape import Shape, misfit, of_array
from beam_mat.core.contract.unit import BATCH, FileNote, ImageNote, Runs, UnitNote
from beam_mat.core.scan import Layout

Read = tuple[Place, Shape]
"""The first of the rows that the reader loads at once, and the types that it infers from them."""


def conclude(
    entry: Entry,
    files: Iterable[FileNote],
    units: Iterable[UnitNote],
    images: Iterable[ImageNote],
) -> Tally:
    """Returns an entry's violations."""
    in_order = sorted(files, key=lambda note: note.file.order)
    ordered = sorted(units, key=lambda note: (note.unit.file.order, note.unit.number))
    tally = Tally(finding for file in in_order for finding in file.findings)
    for image in images:
        tally.merge(image.counts)
    for unit in ordered:
        tally.merge(unit.counts)
    reads = [
        _reads(file, [unit for unit in ordered if unit.unit.file.order == file.file.order])
        for file in in_order
    ]
    _types(tally, [read for read in reads if read])
    if any(unit.rows for unit in ordered):
        _columns(tally, entry, reads)
        _order(tally, entry, ordered)
        _labels(tally, ordered)
    elif not tally.counts():
        tally.add(Finding(Kind.NO_ROWS, "the files have no rows"))
    return tally


def _reads(file: FileNote, units: list[UnitNote]) -> list[Read]:
    """The types that the reader infers for a file, one for each time that it reads from it."""
    order = file.file.order
    if file.shape is not None:
        return [(Place(order), file.shape)]
    shapes = [
        (Place(order, unit.unit.first), unit.shape) for unit in units if unit.shape and unit.rows
    ]
    if file.layout is not Layout.ARRAY:
        return shapes
    whole = Shape(fields={})
    for _, shape in shapes:
        whole.join(shape)
    always = [set(unit.always) for unit in units if unit.rows]
    return [(Place(order), of_array(whole, set.intersection(*always) if always else set()))]


def _types(tally: Tally, files: list[list[Read]]) -> None:
    """Checks that each file can be cast to the types of the first file, whichever that is."""
    reads = [read for file in files for read in file]
    clashes = [(place, path) for place, shape in reads if (path := shape.clash()) is not None]
    # Clashes inside a unit are known already. Clashes between the units of an array are new.
    if clashes and not any(count.kind is Kind.TYPE_DRIFT for count in tally.counts()):
        for place, path in clashes:
            tally.add(Finding(Kind.TYPE_DRIFT, f"{path} has values of several types", place))
    if clashes:
        return
    types = [same[0] for same in _by_shape(file[0] for file in files)]
    for same in _by_shape(reads):
        place, shape = same[0]
        for first, type in types:
            fault = misfit(shape, type)
            if fault:
                other = first.file != place.file
                why = fault.detail + (" (if another file is read first)" if other else "")
                tally.add(Finding(fault.kind, why, place), len(same))
                break


def _by_shape(reads: Iterable[Read]) -> list[list[Read]]:
    groups: dict[bytes, list[Read]] = {}
    for read in reads:
        groups.setdefault(msgspec.json.encode(read[1], order="sorted"), []).append(read)
    return list(groups.values())


def _columns(tally: Tally, entry: Entry, files: list[list[Read]]) -> None:
    known = {key for file in files for _, shape in file for key in shape.fields or {}}
    kinds = {count.kind for count in tally.counts()}
    if kinds & {Kind.FILE_NOT_CHECKED, Kind.MALFORMED_JSON}:
        return  # the rows that could not be read may have the column
    for name, column in entry.columns.items():
        if printable(column) not in known:
            why = f"columns maps {name} to {column!r}, but no row has this column"
            tally.add(Finding(Kind.COLUMN_UNKNOWN, why))


def _labels(tally: Tally, units: list[UnitNote]) -> None:
    labels = {label for unit in units for label in unit.labels}
    if len(labels) == 1:
        why = f"every row has an answer that is {'' if labels.pop() else 'not '}wanted"
        tally.add(Finding(Kind.ONE_LABEL, why))


def _order(tally: Tally, entry: Entry, units: list[UnitNote]) -> None:
    dropped = _chain(unit.dropped for unit in units)
    whole = dropped.whole_batch()
    if whole is not None:
        place = _place(units, whole)
        size = min(BATCH, dropped.rows - whole)
        tally.add(Finding(Kind.BATCH_DROPPED, f"all {size} rows from here on are dropped", place))
    for name in sorted({*NULLABLE} & entry.columns.keys()):
        runs = _chain(unit.empty[name] for unit in units)
        column = entry.columns[name]
        workers = runs.null_workers()
        if 1 in workers:
            why = f"{column} is empty in the first {runs.head} rows"
            tally.add(Finding(Kind.NULL_CAST, why, Place(0, runs.head)))
        elif workers:
            listed = ", ".join(map(str, workers[:5])) + (", …" if len(workers) > 5 else "")
            why = f"{column} is empty: the job fails if preprocessing_num_workers is {listed}"
            start, _ = max(runs.runs, key=lambda run: run[1] - run[0])
            tally.add(Finding(Kind.TEXT_STRETCH, why, _place(units, start)))
        elif runs.head < runs.rows:
            _listed_first(tally, units, name, column)


def _listed_first(tally: Tally, units: list[UnitNote], name: str, column: str) -> None:
    by_file: dict[int, list[Runs]] = {}
    for unit in units:
        by_file.setdefault(unit.unit.file.order, []).append(unit.empty[name])
    for order, runs in by_file.items():
        head = _chain(runs).head
        if len(by_file) > 1 and head >= BATCH:
            where = f"{column} is empty in the first {head} rows of this file"
            why = f"{where}: the job fails if the file is read first"
            tally.add(Finding(Kind.TEXT_STRETCH, why, Place(order, 0)))


def _chain(runs: Iterable[Runs]) -> Runs:
    return functools.reduce(Runs.then, runs, Runs())


def _place(units: list[UnitNote], index: int) -> Place:
    """The location of the row with this index in the entry."""
    for unit in units:
        if index < unit.rows:
            return Place(unit.unit.file.order, unit.unit.first + index)
        index -= unit.rows
    return Place()
