"""Elements of the graph: references to inputs, and facts about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from beam_mat.core.chunk import Chunk
from beam_mat.core.image import ImageFault
from beam_mat.core.member import Member
from beam_mat.core.sampling import Tokens


class Source(msgspec.Struct, frozen=True, array_like=True):
    """A zip or folder of images.

    Attributes:
        uri: Where it is.
        order: Its position among the sources; see `Member.order`.
        size: Bytes; for a folder, of all its files.
        version: Changes when the content does; for a folder, a hash of its listing.
    """

    uri: str
    order: int
    size: int = 0
    version: str = ""

    @property
    def content(self) -> tuple[int, str]:
        """Size and version: what changes when the source's content does."""
        return self.size, self.version


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """An image that records use.

    Attributes:
        path: Its published path: the name in records.
        member: Its member, or None if no source has it.
        chunks: Names of the chunks that wait for it.
    """

    path: str
    member: Member | None
    chunks: tuple[str, ...]


class ImageOutcome(msgspec.Struct, frozen=True, array_like=True):
    """The result of one image, for the records that use it.

    Attributes:
        path: The published path.
        fault: Why it cannot be used, or None.
        file: The written file below the output folder, or "" if there is none. Its name has a
            hash of its bytes.
        tokens: Number of tokens that the image takes in the context.
    """

    path: str
    fault: ImageFault | None = None
    file: str = ""
    tokens: Tokens = (0, 0)


def outcomes_digest(outcomes: Iterable[ImageOutcome], repeated: Iterable[int]) -> str:
    """Returns a hash of everything that affects a chunk's output except its bytes and settings.

    Args:
        outcomes: Outcomes of all images that the chunk requests, in any order.
        repeated: Indexes of the records that repeat the id of an earlier record.
    """
    facts = sorted(outcomes, key=lambda outcome: outcome.path), sorted(repeated)
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:24]


class PathFact(msgspec.Struct, frozen=True, array_like=True):
    """One fact about an image path. One attribute is set.

    Attributes:
        chunk: Name of a chunk that requests it.
        member: A member of a zip or folder that has this path.
        missed_by: Stem of a shard that is in the dataset without this image.
    """

    chunk: str | None = None
    member: Member | None = None
    missed_by: str | None = None


class ChunkFact(msgspec.Struct, frozen=True, array_like=True):
    """One fact about a chunk.

    Attributes:
        chunk: The chunk itself.
        outcomes: Outcomes of images that it requests.
        table: The image result that has the rows of these outcomes; see `work.image_results`.
        repeated: Index of a record that repeats the id of an earlier record.
    """

    chunk: Chunk | None = None
    outcomes: tuple[ImageOutcome, ...] = ()
    table: str = ""
    repeated: int | None = None


class Written(msgspec.Struct, frozen=True, array_like=True):
    """A written chunk.

    Attributes:
        chunk: Its name.
        output: Name of its `ChunkOutput`.
        tables: The image results that have rows of its images.
    """

    chunk: str
    output: str
    tables: tuple[str, ...]
