"""The driver's last step: writes the registry and the report, and last the manifest.

A dataset is there when its manifest is. Until then a reader finds nothing to trust, and the same
command begins anew.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import msgspec

import beam_mat
from beam_mat.config import Job
from beam_mat.core import layout
from beam_mat.core.notes import Part
from beam_mat.core.reject import Reason
from beam_mat.core.settings import FORMAT, JSONL, Settings
from beam_mat.report import report
from beam_mat.storage import files
from beam_mat.totals import Totals

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


def dataset_info(parts: list[Part]) -> dict[str, Any]:
    """LLaMA-Factory's registry: `mat` for JSONL, `mat_parquet`, and the same with `_val`.

    Once columns or tags are given, LLaMA-Factory takes every one that is not for absent: all are.
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


def manifest(job: Job, totals: Totals) -> dict[str, Any]:
    """What the dataset is made of and how: a function of input and configuration alone."""
    settings = job.settings
    packages = ("apache-beam", "pillow", "pyarrow")
    return {
        "format": FORMAT,
        "made_by": {
            "beam-mat": beam_mat.__version__,
            "resizer": settings.resizer,
            **{package: metadata.version(package) for package in packages},
        },
        "inputs": {
            "json": [
                {
                    "uri": shard.uri,
                    "size": shard.size,
                    "version": shard.version,
                    "records": totals.shard_records[shard.uri],
                }
                for shard in job.shards
            ],
            "images": [_source(source.uri) for source in job.sources],
        },
        "configuration": {
            "max_pixels": settings.budget.max_pixels,
            "min_pixels": settings.budget.min_pixels,
            "rewrite": [list(pair) for pair in settings.prefixes],
            "formats": list(settings.formats),
            "val_fraction": settings.val_fraction,
            "duplicates": "drop" if settings.drop_duplicates else "keep",
            "exif": "apply" if settings.apply_exif else "ignore",
            "limit": job.limit,
        },
        "counts": {
            "records": totals.records,
            "accepted": totals.accepted,
            "rejected": totals.rejected_records,
            "rejected_by_reason": {
                reason.value: totals.rejected[reason].count
                for reason in Reason
                if reason in totals.rejected
            },
            "respelled_words": totals.respelled,
            "image_uses": totals.image_uses,
            "images": totals.images.status,
            "image_source_bytes": totals.images.source_bytes,
            "image_bytes": totals.images.bytes,
        },
        "parts": msgspec.to_builtins(totals.parts),
        "rejects": msgspec.to_builtins(totals.rejects),
        "image_table": msgspec.to_builtins(totals.images.table),
    }


def _source(uri: str) -> dict[str, Any]:
    if files.is_folder(uri):
        return {"uri": uri, "size": None, "version": None}
    return msgspec.to_builtins(files.info(uri))  # type: ignore[no-any-return]


_WORK_FOLDERS = (
    layout.SCRATCH,
    layout.SHARD_NOTES,
    layout.CHUNK_NOTES,
    layout.BATCH_NOTES,
    layout.TEXT_ONLY,
    layout.MIXED_NOTES,
)


def prepare(settings: Settings) -> None:
    """Clears the output folder of an earlier dataset and of what a broken-off run left.

    The place is marked as ours before anything goes, so that a run that breaks off while clearing
    can be begun anew. The manifest goes first, so that a half-cleared dataset is none.
    """
    _write_json(settings, f"{layout.WORK}/claim.json", {"configuration": settings.digest()})
    flat = (layout.IMAGES, layout.REJECTS, *layout.PART_FOLDERS)
    single = (layout.MANIFEST, layout.DATASET_INFO, layout.REPORT, layout.IMAGE_TABLE)
    for name in (*single, *flat, *_WORK_FOLDERS):
        files.remove(files.join(settings.output, name))


def publish(job: Job, totals: Totals) -> None:
    """Makes the dataset visible: registry and report, then manifest. The work folder goes last."""
    _write_json(job.settings, layout.DATASET_INFO, dataset_info(totals.parts))
    _write(job.settings, layout.REPORT, report(job, totals).encode("utf-8", "backslashreplace"))
    _write_json(job.settings, layout.MANIFEST, manifest(job, totals))
    files.remove(files.join(job.settings.output, layout.WORK))


def _write_json(settings: Settings, path: str, value: Any) -> None:
    _write(settings, path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _write(settings: Settings, path: str, data: bytes) -> None:
    scratch = files.join(settings.output, layout.SCRATCH)
    files.write_bytes(files.join(settings.output, path), data, scratch)
