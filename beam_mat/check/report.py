"""What a check found, for people and for machines."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from beam_mat.check.job import CheckJob
from beam_mat.core.contract.conclude import conclude
from beam_mat.core.contract.finding import Count, Finding, Tally
from beam_mat.core.contract.kind import Severity
from beam_mat.core.contract.unit import FileNote, ImageNote, UnitNote
from beam_mat.core.display import one_line
from beam_mat.core.scan import Layout

_ORDER = {severity: place for place, severity in enumerate(Severity)}


class Where(msgspec.Struct):
    """A place as a person looks for it; a line counts from 1, a row from 0."""

    file: str | None
    line: int | None
    row: int | None
    id: str | None
    detail: str


class Violation(msgspec.Struct):
    """A kind of violation in an entry."""

    entry: str
    kind: str
    severity: str
    count: int
    happens: str
    cure: str
    first: list[Where]


class Checked(msgspec.Struct):
    """What an entry holds."""

    name: str
    files: int
    rows: int
    images: int
    image_uses: int


class Report(msgspec.Struct):
    """Everything that ``--json`` prints."""

    dataset: str
    entries: list[Checked]
    not_checked: dict[str, str]
    violations: list[Violation]


def report(
    job: CheckJob,
    files: Sequence[FileNote],
    units: Sequence[UnitNote],
    images: Sequence[ImageNote],
) -> Report:
    """Adds up what the steps left, entry by entry."""
    made = Report(job.dataset, [], job.skipped, [])
    for place, checked in enumerate(job.entries):
        tally = Tally()
        for finding in checked.findings:
            tally.add(finding)
        rows = distinct = 0
        mine = [note for note in files if note.file.entry == place]
        of_units = [note for note in units if note.unit.file.entry == place]
        if checked.entry is not None and checked.files:
            of_images = [note for note in images if note.entry == place]
            found, rows, distinct = conclude(checked.entry, mine, of_units, of_images)
            tally.merge(found.counts())
        uses = sum(note.image_uses for note in of_units)
        made.entries.append(Checked(checked.name, len(checked.files), rows, distinct, uses))
        names = {note.file.order: note for note in mine}
        counts = sorted(tally.counts(), key=lambda count: _ORDER[count.kind.severity])
        made.violations += [_violation(checked.name, count, names) for count in counts]
    return made


def _violation(entry: str, count: Count, files: dict[int, FileNote]) -> Violation:
    kind = count.kind
    return Violation(
        entry=entry,
        kind=kind.value,
        severity=kind.severity.value,
        count=count.number,
        happens=kind.happens,
        cure=kind.cure,
        first=[_where(finding, files) for finding in count.first],
    )


def _where(finding: Finding, files: dict[int, FileNote]) -> Where:
    place = finding.place
    note = files.get(place.file)
    row = place.row if place.row >= 0 else None
    is_line = row is not None and note is not None and note.layout is Layout.LINES
    return Where(
        file=note.file.uri if note else None,
        line=row + 1 if is_line and row is not None else None,
        row=row,
        id=place.id or None,
        detail=finding.detail,
    )


def as_json(found: Report) -> str:
    """The report for machines."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def show(console: Console, found: Report) -> None:
    """Prints the report for people."""
    for entry in found.entries:
        console.print(
            f"{entry.name}: {entry.rows:,} rows in {entry.files:,} file(s), {entry.image_uses:,} "
            f"images ({entry.images:,} image files)",
            markup=False,
            soft_wrap=True,
        )
    for name, why in found.not_checked.items():
        console.print(f"{name}: not checked: {why}", markup=False, soft_wrap=True)
    if not found.violations:
        console.print("Nothing was found that LLaMA-Factory would stumble over")
        return
    several = len(found.entries) > 1
    for severity in Severity:
        listed = [item for item in found.violations if item.severity == severity.value]
        if listed:
            console.print(_table(severity, listed, several=several))
    for item in {item.kind: item for item in found.violations}.values():
        console.print(f"{item.kind}: {item.happens}", markup=False, soft_wrap=True)
        console.print(f"  {item.cure}", markup=False, soft_wrap=True)
    sums = Counter(item.severity for item in found.violations)
    parts = [f"{sums[item.value]} {item.value}" for item in Severity if sums[item.value]]
    console.print(f"{len(found.violations)} kind(s) of violation: {', '.join(parts)}")


def _table(severity: Severity, listed: list[Violation], *, several: bool) -> Table:
    table = Table(title=severity.value.capitalize(), title_justify="left", title_style="bold")
    if several:
        table.add_column("entry")
    table.add_column("kind", no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("the first of them", overflow="fold")
    for item in listed:
        first = "\n".join(_line(where) for where in item.first[:3])
        cells: list[Any] = [item.kind, f"{item.count:,}", escape(first)]
        table.add_row(*([escape(item.entry)] if several else []), *cells)
    return table


def _line(where: Where) -> str:
    place = posixpath.basename(where.file) if where.file else ""
    if where.line is not None:
        place += f" line {where.line}"
    elif where.row is not None:
        place += f" row {where.row}"
    if where.id:
        place += f" (id {where.id})"
    detail = where.detail.replace("\n", " ")
    return one_line(f"{place}: {detail}" if place else detail)
