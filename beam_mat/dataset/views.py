"""Views: the files at the top of the output folder, which describe the newest generation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa

from beam_mat.core import layout
from beam_mat.dataset import image_table
from beam_mat.dataset.commit import Snapshot
from beam_mat.dataset.manifest import Manifest, manifest_of
from beam_mat.dataset.registry import dataset_info
from beam_mat.storage import files

Report = Callable[[str, Manifest, Snapshot], object]
"""Writes report.html. The arguments are the output folder, its manifest and the snapshot."""

_LOG = logging.getLogger(__name__)


def write(
    output: str, snapshot: Snapshot, report: Report | None, table: pa.Table | None = None
) -> Manifest:
    """Writes the views of a snapshot; manifest.json is the last.

    Errors of the report are logged: the dataset is complete without it.

    Args:
        output: URI of the output folder.
        snapshot: The newest generation.
        report: Writes the report, or None.
        table: The rows of its image tables, if they are in memory.
    """
    _write(output, layout.DATASET_INFO, dataset_info(snapshot.parts()))
    manifest = manifest_of(snapshot, image_table.write_view(output, snapshot.images, table))
    if report:
        try:
            report(output, manifest, snapshot)
        except Exception as error:  # noqa: BLE001 the dataset is complete without the report
            _LOG.warning("%s: the report could not be written: %s", output, error)
    _write(output, layout.MANIFEST, manifest)
    return manifest


def withdraw(output: str) -> None:
    """Removes the views. The manifest is removed first, so that readers find no dataset."""
    names = (layout.MANIFEST, layout.DATASET_INFO, layout.REPORT, layout.STATISTICS)
    for name in (*names, layout.IMAGE_TABLE):
        files.remove_file(files.join(output, name))


def _write(output: str, path: str, value: Any) -> None:
    data = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    files.write_bytes(files.join(output, path), data, files.join(output, layout.SCRATCH))
