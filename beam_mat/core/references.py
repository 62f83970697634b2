"""Elements of the graph: references to inputs, and facts about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from beam_mat.core.chunk import Chunk
from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member
from beam_mat.core.statistics import Tokens


class Source(msgspec.Struct, frozen=True, array_like=True):
    """A zip or folder of images.

    `order` is its position among the sources, see `Member.order`. `version` changes when the
    content does. For a folder, `size` is that of all files, `version` a hash of the listing.
    """

    uri: str
    order: int
    size: int = 0
    version: str = ""

    @property
    def content(self) -> tuple[int, str]:
        return self.size, self.version


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """An image that records use, by its published path: the name in records.

    `member` is None if no source has it. `chunks` are the names of the chunks that wait for it.
    """

    path: str
    member: Member | None
    chunks: tuple[str, ...]


class ImageOutcome(msgspec.Struct, frozen=True, array_like=True):
    """The result of one image, for the records that use it.

    `file` is the written file below the output folder, or "". Its name has a hash of its bytes.
    """

    path: str
    fault: ImageFault | None = None
    file: str = ""
    tokens: Tokens = (0, 0)


def outcomes_digest(outcomes: Iterable[ImageOutcome], repeated: Iterable[int]) -> str:
    """Returns a hash of everything that affects a chunk's output except its bytes and settings.

    `outcomes` are those of all images that the chunk requests, in any order, and `repeated` the
    indexes of the records that repeat the id of an earlier record.
    """
    facts = sorted(outcomes, key=lambda outcome: outcome.path), sorted(repeated)
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:24]


class PathFact(msgspec.Struct, frozen=True, array_like=True):
    """One fact about an image path: a chunk requests it, a source has it, or a shard lacks it.

    One attribute is set. `chunk` is the name of a chunk. `missed_by` is the stem of a shard that is
    in the dataset without this image.
    """

    chunk: str | None = None
    member: Member | None = None
    missed_by: str | None = None


class ChunkFact(msgspec.Struct, frozen=True, array_like=True):
    """One fact about a chunk: the chunk itself, outcomes of images, or a repeated id.

    `table` is the image result that has the rows of `outcomes`; see `work.images`.
    `repeated` is the index of a record that repeats the id of an earlier record.
    """

    chunk: Chunk | None = None
    outcomes: tuple[ImageOutcome, ...] = ()
    table: str = ""
    repeated: int | None = None


class Written(msgspec.Struct, frozen=True, array_like=True):
    """The names of a written chunk and its `ChunkOutput`, and the image results that it uses."""

    chunk: str
    output: str
    tables: tuple[str, ...]
