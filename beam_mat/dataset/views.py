"""Views: the files at the top of the output folder, which describe the newest generation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pyarrow as pa

from beam_mat.core import layout
from beam_mat.core.results import Part
from beam_mat.core.settings import JSONL
from beam_mat.dataset import image_table
from beam_mat.dataset.commit import Snapshot
from beam_mat.dataset.manifest import Manifest, manifest_of
from beam_mat.storage import files

Report = Callable[[str, Manifest, Snapshot], object]
"""Writes report.html. The arguments are the output folder, its manifest and the snapshot."""

_LOG = logging.getLogger(__name__)

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


def write(
    output: str, snapshot: Snapshot, report: Report | None, table: pa.Table | None = None
) -> Manifest:
    """Writes the views of the newest generation; manifest.json is the last.

    `table` has the rows of its image tables, if they are in memory.
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


def dataset_info(parts: Iterable[Part]) -> dict[str, Any]:
    """Returns LLaMA-Factory's entries: `mat` for JSONL, `mat_parquet`, and each with `_val`.

    If an entry has some columns or tags, LLaMA-Factory ignores its defaults for the others. So all
    are given.
    """
    entries = {}
    for format, split in sorted({(part.format, part.split) for part in parts}):
        name = "mat" + ("" if format == JSONL else f"_{format}")
        name += "" if split == layout.TRAIN else f"_{split}"
        entries[name] = {
            "file_name": layout.part_folder(format, split),
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images", "system": "system"},
            "tags": _TAGS,
        }
    return entries


def withdraw(output: str) -> None:
    """Removes the views. The manifest is removed first, so that readers find no dataset."""
    names = (layout.MANIFEST, layout.DATASET_INFO, layout.REPORT, layout.STATISTICS)
    for name in (*names, layout.IMAGE_TABLE):
        files.remove_file(files.join(output, name))


def _write(output: str, path: str, value: Any) -> None:
    data = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    files.write_bytes(files.join(output, path), data, files.join(output, layout.SCRATCH))
