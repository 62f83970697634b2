"""Writes report.html and statistics.json to a dataset."""

from __future__ import annotations

import msgspec

from beam_mat.core import layout
from beam_mat.core.statistics import Statistics
from beam_mat.dataset import image_table, log
from beam_mat.dataset import manifest as manifests
from beam_mat.dataset.commit import WATCH, Snapshot, in_order
from beam_mat.dataset.manifest import Manifest
from beam_mat.report.findings import Findings, find
from beam_mat.report.page import render
from beam_mat.report.read import ReportData, collect, read
from beam_mat.storage import files, inputs


def write_of(output: str, manifest: Manifest, snapshot: Snapshot) -> None:
    """Writes statistics.json and report.html of the newest generation.

    The dataset must contain the images already, but not yet the manifest.
    """
    findings = _findings(output, manifest, snapshot)
    _write(output, layout.STATISTICS, msgspec.json.encode(findings) + b"\n")
    _write_page(output, collect(output, manifest, findings))


def make_again(output: str) -> str:
    """Makes the report of a finished dataset again, and returns its URI.

    Raises:
        BeamMatError: There is no dataset, or the report cannot be written.
    """
    found = manifests.read(output)
    if found and found.command == WATCH:
        write_of(output, found, log.snapshot(output))
    else:
        _write_page(output, read(output))
    files.prune(files.join(output, layout.SCRATCH))
    return files.join(output, layout.REPORT)


def _findings(output: str, manifest: Manifest, snapshot: Snapshot) -> Findings:
    statistics = Statistics()
    for shard in in_order(snapshot.shards.values()):
        statistics.merge(shard.statistics)
    # The inputs may have been cleared away since. A deleted shard cannot be read again.
    named = {one.source for one in statistics.samples}
    named |= {one.source for one in statistics.rejects}
    there = {uri for uri in named if not inputs.change(snapshot.shards[uri].shard)}
    statistics.samples = [one for one in statistics.samples if one.source in there]
    statistics.rejects = [one for one in statistics.rejects if one.source in there]
    prefixes = tuple((old, new) for old, new in manifest.configuration["rewrite"])
    return find(statistics, image_table.statistics(output, snapshot.images), prefixes)


def _write_page(output: str, data: ReportData) -> None:
    _write(output, layout.REPORT, render(data).encode("utf-8", "backslashreplace"))


def _write(output: str, name: str, data: bytes) -> None:
    files.write_bytes(files.join(output, name), data, files.join(output, layout.SCRATCH))
