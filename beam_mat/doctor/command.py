"""The doctor's table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from beam_mat.command_line import CommandLine
from beam_mat.doctor.credentials import credentials
from beam_mat.doctor.finding import Finding, State
from beam_mat.doctor.machine import machine
from beam_mat.doctor.runners import runners
from beam_mat.doctor.versions import drivers, versions

_STYLES = {State.GOOD: "green", State.ABSENCE: "yellow", State.FAULT: "bold red"}


def command_line() -> CommandLine:
    """The command's words."""
    return CommandLine(
        "doctor",
        "Tells what is installed, which runners work here (one small pipeline is run), what the "
        "machine has, and whether credentials are there. Nothing off this machine is asked, and "
        "no secret is read or printed.",
        ("beam-mat doctor",),
        more="Exit codes: 0 converting works here, 1 it does not.",
    )


def doctor(argv: Sequence[str], console: Console | None = None) -> int:
    """Runs the command.

    Args:
        argv: What follows ``doctor``.
        console: Where to print.

    Returns:
        1 where converting could not work here, else 0.
    """
    command_line().read(argv)
    out = console or Console()
    parts = (
        ("Versions", versions()),
        ("Stores", drivers()),
        ("Runners", runners()),
        ("Machine", machine()),
        ("Credentials", credentials(os.environ, Path.home())),
    )
    faults = []
    for title, findings in parts:
        listed = list(findings)
        faults += [finding for finding in listed if finding.state is State.FAULT]
        out.print(_table(title, listed))
    if faults:
        named = ", ".join(finding.what for finding in faults)
        out.print(Text(f"Converting does not work here: {named}", style="bold red"))
        return 1
    out.print("Converting works here")
    return 0


def _table(title: str, findings: Iterable[Finding]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    table.add_column(min_width=21)
    table.add_column(min_width=5)
    table.add_column(overflow="fold")
    for finding in findings:
        told = f"{finding.found}; {finding.cure}" if finding.cure else finding.found
        state = Text(finding.state.value, style=_STYLES[finding.state])
        table.add_row(Text(finding.what), state, Text(told))
    return table
