"""``beam-mat report``: makes a dataset's report anew."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from beam_mat import manifest as manifests
from beam_mat.command_line import CommandLine
from beam_mat.core import layout
from beam_mat.output_argument import add_output, output_of
from beam_mat.report import watched
from beam_mat.report.page import render
from beam_mat.report.read import read
from beam_mat.report.write import write_page
from beam_mat.storage import files


def command_line() -> CommandLine:
    """The command's words."""
    line = CommandLine(
        "report",
        "Makes the report of a dataset anew, out of what lies in it: its manifest, its statistics "
        "and its images; of a watched dataset, out of its last generation.",
        ("beam-mat report dataset", "beam-mat report gs://bucket/datasets/mat"),
    )
    return add_output(line, "DATASET", "the dataset")


def report(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: What follows ``report``.

    Raises:
        BeamMatError: There is no dataset, or the report cannot be written.
    """
    output = output_of(command_line(), argv, writes=True)
    found = manifests.read(output)
    if found and found.generation is not None:
        watched.write(output, found)
    else:
        write_page(output, render(read(output)))
    files.prune(files.join(output, layout.SCRATCH))
    Console().print(f"Report in {files.join(output, layout.REPORT)}", soft_wrap=True)
