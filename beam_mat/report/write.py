"""Writes report.html and statistics.json to a dataset."""

from __future__ import annotations

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.dataset import image_table, log
from beam_mat.dataset import manifest as manifests
from beam_mat.dataset.commit import WATCH, Snapshot
from beam_mat.dataset.manifest import Manifest
from beam_mat.dataset.totals import statistics_of
from beam_mat.report.examples import thumbnails
from beam_mat.report.findings import Findings, find
from beam_mat.report.page import render
from beam_mat.storage import files, inputs


def write_of(output: str, manifest: Manifest, snapshot: Snapshot) -> None:
    """Writes statistics.json and report.html of the newest generation.

    The dataset must contain the images already, but not yet the manifest.
    """
    statistics = statistics_of(snapshot.shards.values())
    # The inputs may have been cleared away since. A deleted shard cannot be read again.
    named = {one.source for one in statistics.samples}
    named |= {one.source for one in statistics.rejects}
    there = {uri for uri in named if not inputs.change(snapshot.shards[uri].shard)}
    statistics.samples = [one for one in statistics.samples if one.source in there]
    statistics.rejects = [one for one in statistics.rejects if one.source in there]
    prefixes = tuple((old, new) for old, new in manifest.configuration["rewrite"])
    found = find(statistics, image_table.statistics(output, snapshot.images), prefixes)
    _write(output, layout.STATISTICS, msgspec.json.encode(found) + b"\n")
    _write_page(output, manifest, found)


def make_again(output: str) -> str:
    """Makes the report of a finished dataset again, and returns its URI.

    Raises:
        BeamMatError: There is no dataset, or the report cannot be written.
    """
    manifest = manifests.read(output)
    if manifest is None:
        fault = f"{output} has no {layout.MANIFEST}, so it is not a finished dataset"
        raise ConfigError([f"{fault}; run beam-mat convert until it finishes"])
    if manifest.command == WATCH:
        write_of(output, manifest, log.snapshot(output))
    else:
        _write_page(output, manifest, _read(output))
    files.prune(files.join(output, layout.SCRATCH))
    return files.join(output, layout.REPORT)


def _read(output: str) -> Findings:
    uri = files.join(output, layout.STATISTICS)
    cure = "run the same beam-mat convert command again with --overwrite"
    try:
        return msgspec.json.decode(files.read_bytes(uri), type=Findings)
    except FileNotFoundError:
        raise ConfigError([f"{uri} does not exist; {cure}"]) from None
    except msgspec.DecodeError as error:
        why = f"was not written by this version of beam-mat ({error})"
        raise ConfigError([f"{uri} {why}; {cure}"]) from error


def _write_page(output: str, manifest: Manifest, found: Findings) -> None:
    page = render(manifest, found, thumbnails(output, found.examples))
    _write(output, layout.REPORT, page.encode("utf-8", "backslashreplace"))


def _write(output: str, name: str, data: bytes) -> None:
    files.write_bytes(files.join(output, name), data, files.join(output, layout.SCRATCH))
