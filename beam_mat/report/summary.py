"""The summary that is printed at the end of a conversion."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from beam_mat.core import layout
from beam_mat.core.display import one_line
from beam_mat.core.reject import Reason
from beam_mat.core.results import Part
from beam_mat.dataset.manifest import Manifest
from beam_mat.dataset.totals import Totals
from beam_mat.dataset.views import dataset_info

_STEPS = ("split", "request", "catalog", "images", "write", "summarise", "mix")
MAX_EXAMPLE = 160


def show(console: Console, totals: Totals, seconds: float, spent: Mapping[str, float]) -> None:
    """Prints the summary of a job that took `seconds`.

    `spent` has the seconds of work of each step, summed over all workers; steps may run in
    parallel.
    """
    console.print(_records(totals))
    if totals.rejected:
        console.print(_rejects(totals))
    console.print(_images(totals))
    times = ", ".join(f"{step} {spent[step]:.1f} s" for step in _STEPS if step in spent)
    spent_on = f" ({times})" if times else ""
    console.print(f"Time: {seconds:.1f} s{spent_on}", soft_wrap=True)


def next_command(output: str, parts: Sequence[Part]) -> str:
    """The commands to run next on a published dataset, which may have no part."""
    if not parts:
        return f"No record was accepted; the reasons are in {output}/rejects"
    name = min(dataset_info(parts), key=len)
    place = shlex.quote(output)
    return (
        f"Dataset in {output}\n"
        f"To inspect it: open {output}/{layout.REPORT}, or run beam-mat show {place}\n"
        f"To train on it: llamafactory-cli train YOUR.yaml dataset={name} "
        f"dataset_dir={place} media_dir={place}"
    )


def nothing_to_do(output: str, manifest: Manifest) -> str:
    """The message for a dataset that is already complete."""
    accepted, records = manifest.counts["accepted"], manifest.counts["records"]
    return (
        f"Nothing to do: all {records:,} records of these inputs are already converted "
        f"({accepted:,} accepted)\n{next_command(output, manifest.parts)}"
    )


def _plain(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    return table


def _records(totals: Totals) -> Table:
    table = _plain("Records")
    table.add_row("input", f"{totals.records:,}")
    table.add_row("accepted", f"{totals.accepted:,}")
    table.add_row("rejected", f"{totals.rejected_records:,}")
    if totals.respelled:
        table.add_row("words respelled", f"{totals.respelled:,}")
    return table


def _rejects(totals: Totals) -> Table:
    table = Table(title="Rejected", title_justify="left", title_style="bold")
    table.add_column("reason", no_wrap=True)
    table.add_column("records", justify="right")
    table.add_column("example")
    for reason in Reason:
        found = totals.rejected.get(reason)
        if found:
            first = found.first
            named = f" (id {first.id})" if first.id else ""
            detail = first.detail.replace("\n", " ")
            detail = detail if len(detail) <= MAX_EXAMPLE else detail[:MAX_EXAMPLE] + "…"
            place = f"{first.source.rsplit('/', 1)[-1]} record {first.index}{named}: {detail}"
            table.add_row(reason.value, f"{found.count:,}", escape(one_line(place)))
    return table


def _images(totals: Totals) -> Table:
    images = totals.images
    table = _plain("Images")
    table.add_row("requested", f"{images.number:,}")
    for status, count in images.status.items():
        table.add_row(status, f"{count:,}")
    table.add_row("bytes before", decimal(images.source_bytes))
    table.add_row("bytes after", decimal(images.bytes))
    return table
