"""What the steps of the pipeline need to know of what the user asked for."""

from __future__ import annotations

import hashlib
from enum import Enum

import msgspec

from beam_mat.core.geometry import Budget

FORMAT = 1
"""Version of the output's layout. Part of every name, so that layouts never mix."""

NOTES = 2
"""Version of what a job notes for its driver. Part of a job's generation: one that was begun with
other notes is another job, and what of its work still holds is gone on from."""

JSONL = "jsonl"
PARQUET = "parquet"


class Ground(str, Enum):
    """What lay in the output folder when a job began there, of other inputs than its own."""

    EMPTY = "empty"
    DATASET = "dataset"
    """A finished dataset: its notes and its files agree."""
    RUINS = "ruins"
    """No note may tell of an image, or of what it was written over with: a job was broken off, a
    watch was ended, or there is a dataset without notes."""


class Settings(msgspec.Struct, frozen=True):
    """Checked and complete: no step decides on a default.

    Attributes:
        output: URI of the output folder.
        budget: Pixels allowed.
        prefixes: Path prefixes to replace, old and new.
        formats: `JSONL`, `PARQUET` or both.
        val_fraction: Share of ids that goes to the validation set, 0 to 1.
        drop_duplicates: Whether only the first record of an id is kept.
        apply_exif: Whether pictures are turned as their EXIF orientation says.
        resizer: Name and version of what resizes pictures.
        generation: A hash of inputs and configuration: what tells this job from another on the same
            output.
        again: Whether earlier runs may have left notes.
        ground: What the first run of this generation found in the output folder.
        watched: Whether the job has no end: then the notes of a batch of images are kept together,
            to be found when more of them are asked for.
        image_threads: Threads in a worker process that decode, resize and encode.
        progress: ``host:port`` on loopback that is told of progress, or "".
        storage: Storage options for workers on other machines: JSON without secrets, or the name of
            a file that they can read; "" for none. Not part of any name.
    """

    output: str
    budget: Budget = Budget()
    prefixes: tuple[tuple[str, str], ...] = ()
    formats: tuple[str, ...] = (JSONL, PARQUET)
    val_fraction: float = 0.0
    drop_duplicates: bool = False
    apply_exif: bool = False
    resizer: str = ""
    generation: str = ""
    again: bool = False
    ground: Ground = Ground.EMPTY
    watched: bool = False
    image_threads: int = 1
    progress: str = ""
    storage: str = ""

    def image_digest(self) -> str:
        """A hash of what decides an image's bytes."""
        return _digest([FORMAT, self.budget, self.apply_exif, self.resizer])

    def digest(self) -> str:
        """A hash of what decides the output's bytes, for names."""
        return _digest(
            [
                self.image_digest(),
                self.prefixes,
                sorted(self.formats),
                self.val_fraction,
                self.drop_duplicates,
            ]
        )


def _digest(values: list[object]) -> str:
    return hashlib.sha256(msgspec.json.encode(values)).hexdigest()[:12]
