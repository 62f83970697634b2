"""Runs the graph of a check, and prints the findings as text or JSON."""

from __future__ import annotations

import posixpath
from collections import Counter

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from beam_mat.check.job import CheckJob
from beam_mat.check.missing import SHOWN, MissingImages, proposals
from beam_mat.check.pipeline import FILES, IMAGES, UNITS, CheckSettings, build
from beam_mat.core.contract.conclude import conclude
from beam_mat.core.contract.finding import Finding, Severity, Tally
from beam_mat.core.contract.unit import FileNote, ImageNote, UnitNote
from beam_mat.core.display import one_line
from beam_mat.core.job import IN_PROCESS
from beam_mat.core.proposal import merge
from beam_mat.core.scan import Layout
from beam_mat.runners import choose
from beam_mat.runners.run import run_graph
from beam_mat.runners.scratch import scratch_folder
from beam_mat.work import results


class Where(msgspec.Struct):
    """The location of a finding. Lines are counted from 1, rows from 0."""

    file: str | None
    line: int | None
    row: int | None
    id: str | None
    detail: str


class Violation(msgspec.Struct):
    """All violations of one kind in an entry."""

    entry: str
    kind: str
    severity: Severity
    count: int
    happens: str
    cure: str
    first: list[Where]


class Extent(msgspec.Struct):
    """The size of an entry."""

    name: str
    files: int
    rows: int
    images: int
    image_uses: int


class Report(msgspec.Struct):
    """The output of ``--json``."""

    dataset: str
    entries: list[Extent]
    not_checked: dict[str, str]
    violations: list[Violation]
    missing_images: list[MissingImages] = []


def run_check(job: CheckJob, options: PipelineOptions, *, to_json: bool) -> int:
    """Runs a check and prints its findings, as JSON alone if `to_json`; returns 3 if there are any.

    Raises a BeamMatError with the exit code that it stands for.
    """
    console = Console()
    data = job.files
    runner = choose.runner_of(job.beam)
    if not to_json:
        where = "in this process" if runner == IN_PROCESS else f"on {runner}"
        console.print(f"Checking {len(data)} file(s) of {len(job.entries)} entries {where}")
    with scratch_folder(runner, options, "check") as scratch:
        settings = CheckSettings(
            output=scratch,
            image_workers=job.image_workers or choose.image_workers(job.beam),
            storage=job.storage,
            entries={at: each.entry for at, each in enumerate(job.entries) if each.entry},
            media=job.media,
            rules=job.rules,
        )
        if data:
            places = {job.media, *(file.uri for file in data), scratch}
            run_graph(runner, options, lambda pipeline: build(pipeline, data, settings), places)
        found = _report(job, settings)
    if to_json:
        made = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
        print(made)  # noqa: T201  # the output of the command
    else:
        _print(console, found)
    return 3 if found.violations else 0


def _report(job: CheckJob, settings: CheckSettings) -> Report:
    """Merges the results of the steps for each entry."""
    files_read = list(results.collect(settings, FILES, FileNote))
    units = list(results.collect(settings, UNITS, UnitNote))
    images = list(results.collect(settings, IMAGES, ImageNote))
    made = Report(job.dataset, [], job.skipped, [])
    missing = []
    for place, checked in enumerate(job.entries):
        tally = Tally(checked.findings)
        of_files = [note for note in files_read if note.file.entry == place]
        of_units = [note for note in units if note.unit.file.entry == place]
        of_images = [note for note in images if note.entry == place]
        if checked.entry is not None and checked.files:
            tally.merge(conclude(checked.entry, of_files, of_units, of_images).counts())
        lost = merge(one for note in of_images for one in note.missing)
        missing += [(checked.name, one) for one in lost[:SHOWN]]
        made.entries.append(
            Extent(
                name=checked.name,
                files=len(checked.files),
                rows=sum(note.rows for note in of_units),
                images=sum(note.images for note in of_images),
                image_uses=sum(note.image_uses for note in of_units),
            )
        )
        names = {note.file.order: note for note in of_files}
        made.violations += [
            Violation(
                entry=checked.name,
                kind=count.kind.value,
                severity=severity,
                count=count.number,
                happens=count.kind.about.happens,
                cure=count.kind.about.cure,
                first=[_where(finding, names) for finding in count.first],
            )
            for severity in Severity
            for count in tally.counts()
            if count.kind.about.severity is severity
        ]
    made.missing_images = proposals(missing, job.media) if missing else []
    return made


def _where(finding: Finding, files: dict[int, FileNote]) -> Where:
    place = finding.place
    note = files.get(place.file)
    has_lines = note is not None and note.layout is Layout.LINES
    return Where(
        file=note.file.uri if note else None,
        line=place.row + 1 if has_lines and place.row >= 0 else None,
        row=place.row if place.row >= 0 else None,
        id=place.id or None,
        detail=finding.detail,
    )


def _print(console: Console, found: Report) -> None:
    """Prints the report as text."""
    for entry in found.entries:
        rows, files = _number(entry.rows, "row"), _number(entry.files, "file")
        images, sources = _number(entry.image_uses, "image"), _number(entry.images, "image file")
        said = f"{one_line(entry.name)}: {rows} in {files}, {images} ({sources})"
        console.print(said, markup=False, soft_wrap=True)
    for name, why in found.not_checked.items():
        console.print(one_line(f"{name} was not checked: {why}"), markup=False, soft_wrap=True)
    if not found.violations:
        console.print("No violations found")
        return
    for severity in Severity:
        listed = [item for item in found.violations if item.severity is severity]
        if listed:
            console.print(_table(severity, listed, several=len(found.entries) > 1))
    for item in {item.kind: item for item in found.violations}.values():
        console.print(f"{item.kind}: {item.happens}", markup=False, soft_wrap=True)
        console.print(f"  {item.cure}", markup=False, soft_wrap=True)
    _print_missing(console, found)
    sums = Counter(item.severity for item in found.violations)
    parts = [f"{severity.value}: {sums[severity]}" for severity in Severity if sums[severity]]
    console.print(f"{_number(len(found.violations), 'kind')} of violations ({', '.join(parts)})")


def _print_missing(console: Console, found: Report) -> None:
    if found.missing_images:
        console.print("[bold]Missing images[/bold]")
    for item in found.missing_images:
        entry = f"{item.entry}: " if len(found.entries) > 1 else ""
        below = f" below {item.below}" if item.below else ""
        said = f"{entry}{_number(item.count, 'image')}{below}, for example {item.example}"
        said += f": nearest is {item.nearest}: {item.cure}" if item.nearest else ": nothing like it"
        console.print(f"  {escape(one_line(said))}", soft_wrap=True)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _table(severity: Severity, listed: list[Violation], *, several: bool) -> Table:
    table = Table(title=severity.value.capitalize(), title_justify="left", title_style="bold")
    if several:
        table.add_column("entry")
    table.add_column("kind", no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("examples", overflow="fold")
    for item in listed:
        first = "\n".join(_line(where) for where in item.first[:3])
        entry = [escape(one_line(item.entry))] if several else []
        table.add_row(*entry, item.kind, f"{item.count:,}", escape(first))
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
