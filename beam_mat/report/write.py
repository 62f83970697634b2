"""Writes the report and its statistics to a dataset."""

from __future__ import annotations

import msgspec

from beam_mat.core import layout
from beam_mat.dataset import image_table
from beam_mat.dataset.commit import Snapshot
from beam_mat.dataset.manifest import Manifest
from beam_mat.dataset.totals import statistics_of
from beam_mat.report.findings import Findings, find
from beam_mat.report.page import render
from beam_mat.report.read import collect
from beam_mat.storage import files, inputs


def write(output: str, manifest: Manifest, findings: Findings) -> None:
    """Writes statistics.json and report.html.

    Args:
        output: URI of the dataset's folder. It must contain the images already.
        manifest: The dataset's manifest, which need not be written yet.
        findings: The statistics and the sample.
    """
    _write(output, layout.STATISTICS, msgspec.json.encode(findings) + b"\n")
    write_page(output, render(collect(output, manifest, findings)))


def write_of(output: str, manifest: Manifest, snapshot: Snapshot) -> None:
    """Writes statistics.json and report.html of a snapshot.

    Args:
        output: The dataset's folder.
        manifest: What its manifest says or will say.
        snapshot: The newest generation.
    """
    write(output, manifest, findings_of(output, manifest, snapshot))


def findings_of(output: str, manifest: Manifest, snapshot: Snapshot) -> Findings:
    """Returns what the report of a snapshot is made of."""
    statistics = statistics_of(snapshot.shards.values())
    # The inputs may have been cleared away since. A deleted shard cannot be read again.
    named = {one.source for one in statistics.samples}
    named |= {one.source for one in statistics.rejects}
    there = {uri for uri in named if not inputs.change(snapshot.shards[uri].shard)}
    statistics.samples = [one for one in statistics.samples if one.source in there]
    statistics.rejects = [one for one in statistics.rejects if one.source in there]
    prefixes = tuple((old, new) for old, new in manifest.configuration["rewrite"])
    return find(statistics, image_table.statistics(output, snapshot.images), prefixes)


def write_page(output: str, page: str) -> None:
    """Writes report.html."""
    _write(output, layout.REPORT, page.encode("utf-8", "backslashreplace"))


def _write(output: str, name: str, data: bytes) -> None:
    files.write_bytes(files.join(output, name), data, files.join(output, layout.SCRATCH))
