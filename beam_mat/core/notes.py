"""What units of work leave behind for the step after them and for the driver: small facts.

Notes are files and outlive the job: the next one on the same output does only what they do not tell
of, be it the same job after a crash or one with more input. See docs/architecture.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.sampling import Tokens
from beam_mat.core.statistics import Statistics


class Source(msgspec.Struct, frozen=True, array_like=True):
    """A zip or folder of images.

    Attributes:
        uri: Where it is.
        order: Its place among the sources; see `Member.order`.
        size: Bytes; of a folder, of all its files.
        version: What changes when its content does; of a folder, a hash of its listing.
    """

    uri: str
    order: int
    size: int = 0
    version: str = ""


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """An image that records use.

    Attributes:
        path: What records name it by.
        member: Where it lies, or None when it is nowhere.
        chunks: Names of the chunks that wait for it.
        notes: Names of the batch notes in which earlier runs tell of it.
    """

    path: str
    member: Member | None
    chunks: tuple[str, ...]
    notes: tuple[str, ...] = ()


class ImageOutcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of an image, as far as a record that uses it needs to know.

    Attributes:
        path: The image.
        fault: Why it cannot be used, or None.
        content: The beginning of the written file's SHA-256, or "" when there is none.
        tokens: What it takes in the context.
    """

    path: str
    fault: ImageFault | None = None
    content: str = ""
    tokens: Tokens = (0, 0)


def outcomes_digest(outcomes: Iterable[ImageOutcome], repeated: Iterable[int]) -> str:
    """A hash of what decides a chunk's output besides its bytes and the settings.

    Args:
        outcomes: Of all images that the chunk asks for, in any order.
        repeated: Indexes of its records whose id an earlier one has.
    """
    facts = sorted(outcomes, key=lambda outcome: outcome.path), sorted(repeated)
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:24]


class PathFact(msgspec.Struct, frozen=True, array_like=True):
    """What is known of an image path.

    It is a chunk that asks for it, a member that holds it, the name of an earlier run's batch note
    that tells of it, or a shard (by `Shard.stem`) that is in the dataset without it.
    """

    chunk: str | None = None
    member: Member | None = None
    note: str | None = None
    missed_by: str | None = None


class ChunkFact(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a chunk: itself, outcomes of images, or a record that repeats an id."""

    chunk: Chunk | None = None
    outcomes: tuple[ImageOutcome, ...] = ()
    repeated: int | None = None


class Part(msgspec.Struct, frozen=True):
    """One data file of the dataset.

    Attributes:
        path: Below the output folder.
        format: jsonl or parquet.
        split: train or val.
        rows: Number of rows.
        image_rows: How many of them have images.
        bytes: Size of the file.
        sha256: Of the file.
    """

    path: str
    format: str
    split: str
    rows: int
    image_rows: int
    bytes: int
    sha256: str


class ShardNote(msgspec.Struct, frozen=True):
    """What the split found in a shard; its `records` is what the end result is held against."""

    shard: Shard
    records: int
    chunks: tuple[Chunk, ...]


class RequestNote(msgspec.Struct, frozen=True):
    """What a chunk asks for: its records need not be read again to know.

    Attributes:
        images: Paths of its records' images, each once.
        ids: Index and id of each record, where repeated ones are dropped; else none.
    """

    images: tuple[str, ...]
    ids: tuple[tuple[int, str], ...] = ()


class UnusedNote(msgspec.Struct, frozen=True):
    """Paths of images that an earlier run has written and this one does not use."""

    paths: tuple[str, ...]


class RejectCount(msgspec.Struct, frozen=True):
    """How many records of a unit were rejected for a reason, and the first of them."""

    reason: Reason
    count: int
    first: Reject


class Unit(msgspec.Struct, frozen=True, array_like=True):
    """The parts that hold the same rows, one a format, for the mixing of text-only rows."""

    name: str
    split: str
    image_rows: int
    rows: int


class ChunkNote(msgspec.Struct, frozen=True):
    """What became of a chunk.

    Attributes:
        generation: Of the job that wrote or confirmed it, see `Settings.generation`.
        outcomes: `outcomes_digest` of what it was decided on.
        chunk: The chunk.
        accepted: Records in its parts.
        respelled: Words that were respelled in them.
        image_uses: Images of the accepted records, repetitions counted.
        rejected: The other records, by reason.
        units: Its parts, for the mixing.
        parts: The files written.
        rejects: The file with the rejected records, or None.
        statistics: What its records are like.
        missing: Images that no source had.
    """

    generation: str
    outcomes: str
    chunk: Chunk
    accepted: int
    respelled: int
    image_uses: int
    rejected: tuple[RejectCount, ...]
    units: tuple[Unit, ...]
    parts: tuple[Part, ...]
    rejects: Part | None
    statistics: Statistics
    missing: tuple[str, ...] = ()

    def files(self) -> tuple[Part, ...]:
        """Everything that was written for it."""
        return (*self.parts, self.rejects) if self.rejects else self.parts


class MixJob(msgspec.Struct, frozen=True, array_like=True):
    """Text-only units to be dealt in with the rows of a unit that has images.

    Attributes:
        base: The unit with images, or None when the dataset has none at all.
        texts: Units without any.
    """

    base: Unit | None
    texts: tuple[Unit, ...]

    @property
    def name(self) -> str:
        """Unique among the jobs of a dataset."""
        unit = self.base or self.texts[0]
        return f"{unit.split}-{unit.name}"


class MixNote(msgspec.Struct, frozen=True):
    """Parts that replace others.

    Attributes:
        generation: Of the job that wrote them, see `Settings.generation`.
        job: What was mixed.
        replaced: Paths of the parts that are no more to be read.
        parts: The parts written.
    """

    generation: str
    job: MixJob
    replaced: tuple[str, ...]
    parts: tuple[Part, ...]
