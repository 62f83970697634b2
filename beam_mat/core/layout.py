"""Paths of all files below the output folder, and the split of a record.

LLaMA-Factory reads all files of a folder, so each format and split has its own folder.
"""

from __future__ import annotations

import hashlib

from beam_mat.core.settings import JSONL, PARQUET

TRAIN = "train"
VAL = "val"

MANIFEST = "manifest.json"
DATASET_INFO = "dataset_info.json"
REPORT = "report.html"
STATISTICS = "statistics.json"
"""The data of the report, except the manifest and the images."""
IMAGES = "images"
IMAGE_TABLE = "images.parquet"
REJECTS = "rejects"
GENERATIONS = "generations"
"""The log: one file per commit."""
REPLACED = "replaced"
"""Parts and rejects of older generations that the newest generation does not have."""

WORK = "_beam_mat"
"""Files for jobs, not for readers of the dataset."""
PENDING = f"{WORK}/job.json"
"""The conversion that was started but not committed."""
LEASE = f"{WORK}/lease"
SUBMITTED = f"{WORK}/dataflow.json"
"""The job that a service runs, possibly without a driver."""
VERIFIED = f"{WORK}/verified.json"
SCRATCH = f"{WORK}/scratch"
SPLITS = f"{WORK}/shards"
REQUESTS = f"{WORK}/requests"
OUTPUTS = f"{WORK}/chunks"
IMAGE_RESULTS = f"{WORK}/images"
"""One folder for each batch of images."""
SUMMARIES = f"{WORK}/summaries"
"""One folder for each fingerprint."""
TEXT_ONLY = f"{WORK}/text-only"
"""Parts without images, which will be mixed."""
MIXES = f"{WORK}/mixes"
WATCH = f"{WORK}/watch"
"""Messages between the steps of a watch."""


def part_folder(format: str, split: str) -> str:
    """The flat folder of a format's parts.

    >>> part_folder("jsonl", "train"), part_folder("parquet", "val")
    ('jsonl', 'parquet_val')
    """
    return format if split == TRAIN else f"{format}_{split}"


def part(format: str, split: str, name: str) -> str:
    """A part's path below the output folder.

    >>> part("parquet", "train", "mat-0a1b-000")
    'parquet/train-mat-0a1b-000.parquet'
    """
    return f"{part_folder(format, split)}/{split}-{name}.{format}"


PART_FOLDERS = tuple(part_folder(f, s) for f in (JSONL, PARQUET) for s in (TRAIN, VAL))
FLAT_FOLDERS = (*PART_FOLDERS, REJECTS)
"""Folders that have only files of the newest generation."""


def split_of(id: str, val_fraction: float) -> str:
    """The split of a record. It depends only on the id, so it never changes.

    >>> split_of("i0AjblJ-", 0.0), split_of("i0AjblJ-", 1.0)
    ('train', 'val')
    """
    share = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") / (1 << 64)
    return VAL if share < val_fraction else TRAIN
