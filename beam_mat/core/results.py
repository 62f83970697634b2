"""Work results: each unit of work writes one for later steps, the driver and later runs.

A result is a small file below ``_beam_mat/``. Its name identifies its inputs, so a result with the
right name is valid. See docs/architecture.md.
"""

from __future__ import annotations

import hashlib

import msgspec

from beam_mat.core.chunk import Chunk
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.statistics import Statistics


class Part(msgspec.Struct, frozen=True):
    """One immutable file of the dataset.

    Attributes:
        path: Below the output folder.
        format: jsonl or parquet.
        split: train or val; for other files, their folder.
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


class ShardSplit(msgspec.Struct, frozen=True):
    """The chunks of a shard. Named by the shard's stem.

    Attributes:
        records: Number of records, with which the summary is compared.
        chunks: The chunks, in order.
    """

    records: int
    chunks: tuple[Chunk, ...]


class ChunkRequest(msgspec.Struct, frozen=True):
    """The images and ids of a chunk's records. Named by the chunk.

    Attributes:
        images: Published paths of its records' images, each once.
        ids: Index and id of each record if duplicates are dropped; otherwise empty.
    """

    images: tuple[str, ...]
    ids: tuple[tuple[int, str], ...] = ()


class RejectCount(msgspec.Struct, frozen=True):
    """The number of records that were rejected for a reason, and the first of them."""

    reason: Reason
    count: int
    first: Reject


class Unit(msgspec.Struct, frozen=True, array_like=True):
    """Parts with the same rows, one per format. Text-only rows are mixed by units."""

    name: str
    split: str
    image_rows: int
    rows: int


class ChunkOutput(msgspec.Struct, frozen=True):
    """The output of a chunk. Named by the chunk and the hash of the outcomes of its images.

    Attributes:
        records: Number of records in the chunk.
        accepted: Number of records in its parts.
        respelled: Number of words that were respelled in them.
        image_uses: Number of images in accepted records; repeated images count each time.
        rejected: The other records, by reason.
        units: The units of its parts.
        parts: The written files.
        rejects: The file with the rejected records, or None.
        statistics: Statistics of its records.
        missing: Images that no source has.
    """

    records: int
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
        """Returns all written files."""
        return (*self.parts, self.rejects) if self.rejects else self.parts


class MixJob(msgspec.Struct, frozen=True, array_like=True):
    """Text-only units that are mixed with the rows of a unit that has images.

    Attributes:
        base: The unit with images, or None if the dataset has none.
        texts: Units without images.
    """

    base: Unit | None
    texts: tuple[Unit, ...]

    @property
    def split(self) -> str:
        """The split of its units."""
        return (self.base or self.texts[0]).split

    @property
    def name(self) -> str:
        """A name with a hash of all units, so that it identifies their rows."""
        unit = self.base or self.texts[0]
        key = hashlib.sha256(msgspec.json.encode([self.base, self.texts])).hexdigest()[:12]
        return f"{unit.split}-{unit.name}-{key}"

    def inputs(self) -> tuple[Unit, ...]:
        """Returns all units that it reads."""
        return (self.base, *self.texts) if self.base else self.texts


class MixOutput(msgspec.Struct, frozen=True):
    """Parts that replace others. Named by its job.

    Attributes:
        job: The units that were mixed.
        replaced: Paths of the replaced parts.
        parts: The written parts.
    """

    job: MixJob
    replaced: tuple[str, ...]
    parts: tuple[Part, ...]
