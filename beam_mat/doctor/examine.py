"""Examines everything, and prints it as tables."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from beam_mat.doctor.credentials import credentials
from beam_mat.doctor.finding import Finding, State
from beam_mat.doctor.machine import machine
from beam_mat.doctor.runners import runners
from beam_mat.doctor.versions import drivers, versions

_STYLES = {State.GOOD: "green", State.ABSENCE: "yellow", State.FAULT: "bold red"}


def examine(console: Console) -> int:
    """Examines everything, prints it, and returns 1 if conversions cannot work, else 0."""
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
        console.print(_table(title, listed))
    if faults:
        named = ", ".join(finding.what for finding in faults)
        console.print(Text(f"Conversions do not work here: {named}", style="bold red"))
        return 1
    console.print("Conversions work here")
    return 0


def _table(title: str, findings: Iterable[Finding]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    table.add_column(min_width=21)
    table.add_column(min_width=5)
    table.add_column(overflow="fold")
    for finding in findings:
        text = f"{finding.found}; {finding.cure}" if finding.cure else finding.found
        state = Text(finding.state.value, style=_STYLES[finding.state])
        table.add_row(Text(finding.what), state, Text(text))
    return table
