"""The driver of ``beam-mat vacuum``."""

from __future__ import annotations

from rich.console import Console

from beam_mat.dataset import vacuum as vacuums
from beam_mat.dataset.dataset import Dataset
from beam_mat.dataset.state import Command
from beam_mat.report.history import print_garbage
from beam_mat.report.write import write_of
from beam_mat.runners.dataflow import ensure_idle


def vacuum(output: str, console: Console, *, keep: int | None, dry_run: bool) -> None:
    """Removes the files that no kept generation needs, and prints their number.

    Args:
        output: URI of the output folder.
        console: Where to print.
        keep: How many generations to keep; 0 for all, None for the number that the dataset keeps.
        dry_run: Whether to only print the number.

    Raises:
        BeamMatError: See `dataset.dataset.Dataset.open`.
    """
    opened = Dataset.open(output, Command.VACUUM, console.print, report=write_of, busy=ensure_idle)
    with opened as dataset:
        made = dataset.snapshot.made
        number = (made.keep if made else None) if keep is None else keep or None
        stay = vacuums.kept(output, number)
        garbage = vacuums.find(output, stay)
        if not dry_run:
            vacuums.remove(output, stay, garbage)
        print_garbage(console, garbage, dry_run=dry_run)
