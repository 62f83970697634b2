"""Where everything lies below the output folder, and on which side of the split a record is.

LLaMA-Factory reads a folder of one kind of file whole, so each format and each split has its own.
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
"""What the report is made of, besides the manifest and the images."""
IMAGES = "images"
IMAGE_TABLE = "images.parquet"
REJECTS = "rejects"
WORK = "_beam_mat"
"""What jobs need and a reader of the dataset does not; the next job goes on from it."""

JOB = f"{WORK}/job.json"
LEASE = f"{WORK}/lease"
SUBMITTED = f"{WORK}/dataflow.json"
"""Names the job that a service works on, without a driver if need be."""
VERIFIED = f"{WORK}/verified.json"
SCRATCH = f"{WORK}/scratch"
SHARD_NOTES = f"{WORK}/shards"
REQUEST_NOTES = f"{WORK}/requests"
CHUNK_NOTES = f"{WORK}/chunks"
SHARD_TOTALS = f"{WORK}/totals"
"""What became of each shard; a job that begins clears it."""
UNUSED_NOTES = f"{WORK}/unused"
"""Images of earlier runs that a job does not use, for its driver to remove. Cleared as that is."""
BATCH_NOTES = f"{WORK}/batches"
"""With a folder for each generation."""
TEXT_ONLY = f"{WORK}/text-only"
MIXED_NOTES = f"{WORK}/mixed"


GENERATIONS = "generations"
"""The log of a watched dataset: what each commit adds and replaces."""
REPLACED = "replaced"
"""Part files that only earlier generations have, under the paths that they had."""
WATCH = f"{WORK}/watch"
"""What the steps of a watch tell each other."""


def part_folder(format: str, split: str) -> str:
    """The flat folder of a format's parts.

    >>> part_folder("jsonl", "train"), part_folder("parquet", "val")
    ('jsonl', 'parquet_val')
    """
    return format if split == TRAIN else f"{format}_{split}"


def part(format: str, split: str, name: str) -> str:
    """A part file's path below the output folder.

    >>> part("parquet", "train", "mat-0a1b-000")
    'parquet/train-mat-0a1b-000.parquet'
    """
    return f"{part_folder(format, split)}/{split}-{name}.{format}"


PART_FOLDERS = tuple(part_folder(f, s) for f in (JSONL, PARQUET) for s in (TRAIN, VAL))


def split_of(id: str, val_fraction: float) -> str:
    """The side of a record: a function of its id alone, so that it never changes sides.

    >>> split_of("i0AjblJ-", 0.0), split_of("i0AjblJ-", 1.0)
    ('train', 'val')
    """
    share = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") / (1 << 64)
    return VAL if share < val_fraction else TRAIN
