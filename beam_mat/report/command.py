"""``beam-mat report``: makes a dataset's report anew."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from beam_mat.core import layout
from beam_mat.output_argument import output_of
from beam_mat.report.page import render
from beam_mat.report.read import read
from beam_mat.report.write import write_page
from beam_mat.storage import files


def report(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: What follows ``report``.

    Raises:
        BeamMatError: There is no dataset, or the report cannot be written.
    """
    output = output_of(
        argv,
        "report",
        "Makes the report of a dataset anew, out of its manifest, its statistics.json and its "
        "images. Example: beam-mat report gs://bucket/dataset",
        "the dataset",
    )
    write_page(output, render(read(output)))
    files.prune(files.join(output, layout.SCRATCH))
    Console().print(f"Report in {files.join(output, layout.REPORT)}", soft_wrap=True)
