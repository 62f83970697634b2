"""Makes the report of a finished dataset again."""

from __future__ import annotations

from beam_mat.core import layout
from beam_mat.dataset import log, manifest
from beam_mat.dataset.commit import WATCH
from beam_mat.report.page import render
from beam_mat.report.read import read
from beam_mat.report.write import write_of, write_page
from beam_mat.storage import files


def make_again(output: str) -> str:
    """Makes the report of a dataset, and returns its URI.

    Args:
        output: URI of the dataset.

    Raises:
        BeamMatError: There is no dataset, or the report cannot be written.
    """
    found = manifest.read(output)
    if found and found.command == WATCH:
        write_of(output, found, log.snapshot(output))
    else:
        write_page(output, render(read(output)))
    files.prune(files.join(output, layout.SCRATCH))
    return files.join(output, layout.REPORT)
