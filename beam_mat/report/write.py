"""Puts the report and what it is made of into a dataset."""

from __future__ import annotations

import msgspec

from beam_mat.core import layout
from beam_mat.manifest import Manifest
from beam_mat.report.findings import Findings
from beam_mat.report.page import render
from beam_mat.report.read import collect
from beam_mat.storage import files


def write(output: str, manifest: Manifest, findings: Findings) -> None:
    """Writes statistics.json and report.html.

    Args:
        output: The dataset's folder; its images are there already.
        manifest: What its manifest says or will say.
        findings: What was counted, and the sample.
    """
    _write(output, layout.STATISTICS, msgspec.json.encode(findings) + b"\n")
    write_page(output, render(collect(output, manifest, findings)))


def write_page(output: str, page: str) -> None:
    """Writes report.html."""
    _write(output, layout.REPORT, page.encode("utf-8", "backslashreplace"))


def _write(output: str, name: str, data: bytes) -> None:
    files.write_bytes(files.join(output, name), data, files.join(output, layout.SCRATCH))
