"""Prints the log of a dataset, the difference of two generations, and what vacuum removes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from beam_mat.core.display import one_line
from beam_mat.core.errors import ConfigError
from beam_mat.dataset import log
from beam_mat.dataset import manifest as manifests
from beam_mat.dataset.commit import Commit, Snapshot
from beam_mat.dataset.diff import CAME, CHANGED, WENT, Change, Diff
from beam_mat.dataset.vacuum import Garbage

SHOWN = 20
"""Changes of a kind that are printed; --json prints all."""


class LogLine(msgspec.Struct, frozen=True):
    """A generation in the log.

    Attributes:
        generation: Its number.
        command: The command that made it.
        records, accepted, rejected, images: For the whole dataset.
        shards_added, shards_removed: Shards that are new or have a new version, and that went.
        sources_added, sources_removed: The same for zips and folders of images.
        parts_added, parts_removed: Data files that came and went.
        builds_on: The generation before it, or None where the log starts anew.
    """

    generation: int
    command: str
    records: int
    accepted: int
    rejected: int
    images: int
    shards_added: int
    shards_removed: int
    sources_added: int
    sources_removed: int
    parts_added: int
    parts_removed: int
    builds_on: int | None


def log_line(commit: Commit, before: Snapshot) -> LogLine:
    """Returns what the log shows of a commit.

    Args:
        commit: The commit.
        before: The generation before it, or an empty one.
    """
    counts = commit.counts
    known = {uri: one.content for uri, one in before.shards.items()}
    return LogLine(
        generation=commit.generation,
        command=commit.command,
        records=counts["records"],
        accepted=counts["accepted"],
        rejected=counts["rejected"],
        images=sum(counts["images"].values()),
        shards_added=sum(known.get(one.uri) != one.content for one in commit.shards.added),
        shards_removed=len(commit.shards.removed),
        sources_added=len(commit.sources.added),
        sources_removed=len(commit.sources.removed),
        parts_added=len(commit.parts.added),
        parts_removed=len(commit.parts.removed),
        builds_on=commit.previous or None,
    )


def read_log(output: str) -> list[LogLine]:
    """Returns the generations of a dataset, oldest first.

    Raises:
        ConfigError: There is none.
    """
    lines: list[LogLine] = []
    before = Snapshot()
    for commit in log.commits(output):
        if commit.previous not in (0, before.number):
            before = Snapshot()  # vacuum has removed the generations before it
        lines.append(log_line(commit, before))
        before = log.snapshot(output, commit.generation) if not before.number else before
        if before.number != commit.generation:
            before.apply(commit)
    if not lines:
        manifests.read(output)  # which may be of another layout
        raise ConfigError([f"{output}: has no dataset; make one with beam-mat convert or watch"])
    return lines


def print_lines(lines: Iterable[msgspec.Struct]) -> None:
    """Prints one JSON object a line."""
    for line in lines:
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")


def print_changes(found: Diff) -> None:
    """Prints one JSON object a change."""
    for of, changes in (
        ("input", found.inputs),
        ("record", found.records),
        ("image", found.images),
    ):
        for change in changes:
            told = {"of": of, **msgspec.structs.asdict(change)}
            sys.stdout.write(msgspec.json.encode(told).decode() + "\n")


def print_log(console: Console, lines: Iterable[LogLine]) -> None:
    """Prints generations, the newest last."""
    table = Table(title="Generations", title_justify="left", title_style="bold", box=None)
    names = ("", "by", "records", "accepted", "rejected", "images", "shards", "sources", "parts")
    for name in names:
        table.add_column(name, justify="left" if name == "by" else "right", no_wrap=True)
    for line in lines:
        table.add_row(
            f"@{line.generation}",
            line.command,
            f"{line.records:,}",
            f"{line.accepted:,}",
            f"{line.rejected:,}",
            f"{line.images:,}",
            _signed(line.shards_added, line.shards_removed),
            _signed(line.sources_added, line.sources_removed),
            _signed(line.parts_added, line.parts_removed),
        )
    console.print(table)


def _signed(added: int, removed: int) -> str:
    return " ".join(text for text, n in ((f"+{added:,}", added), (f"-{removed:,}", removed)) if n)


def print_diff(console: Console, found: Diff) -> None:
    """Prints what differs between two generations: counts, and the first of each kind."""
    table = Table(
        title=f"Generation {found.before:,} to {found.after:,}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("")
    for kind in (CAME, WENT, CHANGED):
        table.add_column(kind, justify="right")
    groups = (("inputs", found.inputs), ("records", found.records), ("images", found.images))
    for name, changes in groups:
        counts = Counter(change.kind for change in changes)
        table.add_row(name, *(f"{counts[kind]:,}" for kind in (CAME, WENT, CHANGED)))
    console.print(table)
    for name, changes in groups:
        for kind in (CAME, WENT, CHANGED):
            _print_changes(console, name, [one for one in changes if one.kind == kind])


def _print_changes(console: Console, name: str, changes: Sequence[Change]) -> None:
    if not changes:
        return
    console.print(f"[bold]{name} that {changes[0].kind}[/bold]")
    for change in changes[:SHOWN]:
        console.print(f"  {escape(one_line(f'{change.name}: {change.why}'))}", soft_wrap=True)
    if len(changes) > SHOWN:
        console.print(f"  … and {len(changes) - SHOWN:,} more; --json prints all")


def print_garbage(console: Console, garbage: Iterable[Garbage], *, dry_run: bool) -> None:
    """Prints how many files and bytes vacuum removes, by folder."""
    numbers, sizes = Counter[str](), Counter[str]()
    for one in garbage:
        folder = "/".join(one.path.split("/")[: 2 if one.path.startswith("_") else 1])
        numbers[folder] += 1
        sizes[folder] += one.bytes
    if not numbers:
        console.print("There is nothing to remove: the kept generations need every file")
        return
    title = "Would be removed" if dry_run else "Removed"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("folder")
    table.add_column("files", justify="right")
    table.add_column("bytes", justify="right")
    for folder in sorted(numbers):
        table.add_row(folder, f"{numbers[folder]:,}", decimal(sizes[folder]))
    table.add_row("all", f"{numbers.total():,}", decimal(sizes.total()), style="bold")
    console.print(table)
