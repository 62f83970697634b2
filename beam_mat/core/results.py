"""Work results: each unit of work writes one for later steps, the driver and later runs.

A result is a small file below ``_beam_mat/``. Its name identifies its inputs, so a result with the
right name is valid. See docs/architecture.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from beam_mat.core.chunk import Chunk
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.statistics import Statistics


class Part(msgspec.Struct, frozen=True):
    """One immutable file of the dataset.

    `path` is below the output folder. `split` is train or val; for other files, it is their folder.
    """

    path: str
    format: str
    split: str
    rows: int
    image_rows: int
    bytes: int
    sha256: str


class ShardSplit(msgspec.Struct, frozen=True):
    """The chunks of a shard, in order, and its number of records. Named by the shard's stem."""

    records: int
    chunks: tuple[Chunk, ...]


class ChunkRequest(msgspec.Struct, frozen=True):
    """The published paths of a chunk's images, each once. Named by the chunk.

    `ids` has index and id of each record if duplicates are dropped.
    """

    images: tuple[str, ...]
    ids: tuple[tuple[int, str], ...] = ()


class RejectCount(msgspec.Struct, frozen=True):
    """The number of records that were rejected for a reason, and the first of them."""

    reason: Reason
    count: int
    first: Reject


def sum_rejected(counts: Iterable[RejectCount]) -> dict[Reason, RejectCount]:
    """Adds up counts by reason, in the order of `Reason`. Keeps the first record of each reason."""
    sums: dict[Reason, RejectCount] = {}
    for one in counts:
        known = sums.get(one.reason)
        sums[one.reason] = (
            msgspec.structs.replace(known, count=known.count + one.count) if known else one
        )
    return {reason: sums[reason] for reason in Reason if reason in sums}


class Unit(msgspec.Struct, frozen=True, array_like=True):
    """Parts with the same rows, one per format. Text-only rows are mixed by units."""

    name: str
    split: str
    image_rows: int
    rows: int


class ChunkOutput(msgspec.Struct, frozen=True):
    """The output of a chunk. Named by the chunk and the hash of the outcomes of its images.

    `records` are all records of the chunk, `accepted` those in its parts. `respelled` is the number
    of words that were respelled in them, `image_uses` that of their images (repeated images count
    each time). `rejects` is the file with the rejected records. No source has the images `missing`.
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
        return (*self.parts, self.rejects) if self.rejects else self.parts


class MixJob(msgspec.Struct, frozen=True, array_like=True):
    """Text-only units, and the unit with images with whose rows they are mixed.

    `base` is None if the dataset has no images.
    """

    base: Unit | None
    texts: tuple[Unit, ...]

    @property
    def split(self) -> str:
        return (self.base or self.texts[0]).split

    @property
    def name(self) -> str:
        """A name with a hash of all units, so that it identifies their rows."""
        unit = self.base or self.texts[0]
        key = hashlib.sha256(msgspec.json.encode([self.base, self.texts])).hexdigest()[:12]
        return f"{unit.split}-{unit.name}-{key}"

    def inputs(self) -> tuple[Unit, ...]:
        return (self.base, *self.texts) if self.base else self.texts


class MixOutput(msgspec.Struct, frozen=True):
    """The written parts, and the paths of those that they replace. Named by its job."""

    job: MixJob
    replaced: tuple[str, ...]
    parts: tuple[Part, ...]
