"""What units of work leave behind for the step after them and for the driver: small facts."""

from __future__ import annotations

import msgspec

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member
from beam_mat.core.reject import Reason, Reject


class Source(msgspec.Struct, frozen=True, array_like=True):
    """A zip or folder of images, and its place among them; see `Member.order`."""

    uri: str
    order: int


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """An image that records use: where it lies (None: nowhere), and the chunks that wait for it."""

    path: str
    member: Member | None
    chunks: tuple[str, ...]


class ImageOutcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of an image, as far as a record that uses it needs to know."""

    path: str
    fault: ImageFault | None = None


class PathFact(msgspec.Struct, frozen=True, array_like=True):
    """What is known of an image path: a chunk that asks for it, or a member that holds it."""

    chunk: str | None = None
    member: Member | None = None


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
    chunks: int


class RejectCount(msgspec.Struct, frozen=True):
    """How many records of a unit were rejected for a reason, and the first of them."""

    reason: Reason
    count: int
    first: Reject


class ChunkNote(msgspec.Struct, frozen=True):
    """What became of a chunk.

    Attributes:
        chunk: The chunk.
        accepted: Records in its parts.
        respelled: Words that were respelled in them.
        image_uses: Images of the accepted records, repetitions counted.
        rejected: The other records, by reason.
        parts: The files written.
        rejects: The file with the rejected records, or None.
    """

    chunk: Chunk
    accepted: int
    respelled: int
    image_uses: int
    rejected: tuple[RejectCount, ...]
    parts: tuple[Part, ...]
    rejects: Part | None


class Unit(msgspec.Struct, frozen=True, array_like=True):
    """The parts that hold the same rows, one a format, for the mixing of text-only rows."""

    name: str
    split: str
    image_rows: int
    rows: int


class MixJob(msgspec.Struct, frozen=True, array_like=True):
    """Text-only units to be dealt in with the rows of a unit that has images.

    Attributes:
        base: The unit with images, or None when the dataset has none at all.
        texts: Units without any.
    """

    base: Unit | None
    texts: tuple[Unit, ...]


class MixNote(msgspec.Struct, frozen=True):
    """Parts that replace others: the paths replaced, and the parts written."""

    replaced: tuple[str, ...]
    parts: tuple[Part, ...]
