"""The elements of the graph, and work results: what each unit of work writes for later steps.

Elements are references to inputs, and facts about them. A result is a small file below
``_beam_mat/``, which the driver and later runs read too. Its name identifies its inputs, so a
result with the right name is valid. See docs/architecture.md.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import LostRecordError
from beam_mat.core.geometry import Size
from beam_mat.core.image import ImageFault
from beam_mat.core.layout import unsafe
from beam_mat.core.member import Member
from beam_mat.core.nearest import Near
from beam_mat.core.proposal import detail
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.statistics import Statistics, Tokens
from beam_mat.core.trajectory import Schema


class Source(msgspec.Struct, frozen=True, array_like=True):
    """A zip or folder of images.

    `order` is its position among the sources, see `Member.order`. `version` changes when the
    content does. For a folder, `size` is that of all files, `version` a hash of the listing.
    `prefix` is put before the names of its images.
    """

    uri: str
    order: int
    size: int = 0
    version: str = ""
    prefix: str = ""

    @property
    def content(self) -> tuple[int, str]:
        return self.size, self.version


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """An image that records use, by its published path: the name in records.

    `member` is None if no source has it; `near` is the nearest member then, if it was looked for.
    `chunks` are the names of the chunks that wait for it.
    """

    path: str
    member: Member | None
    chunks: tuple[str, ...]
    near: Near | None = None


class NearFact(msgspec.Struct, frozen=True, array_like=True):
    """One fact about a key of missing paths (`core.nearest`), or about one missing path.

    One attribute is set: a missing path or a member with this key, or the missing image itself.
    """

    path: str | None = None
    member: Near | None = None
    wanted: Wanted | None = None


class ImageOutcome(msgspec.Struct, frozen=True, array_like=True):
    """The result of one image, for the records that use it.

    `file` is the written file below the output folder, or "". Its name has a hash of its bytes.
    Of a written file, `original` and `written` are the size before it was resized (turned as it is
    written) and the size of the file, in pixels, and `bytes` is its length.
    """

    path: str
    fault: ImageFault | None = None
    file: str = ""
    tokens: Tokens = (0, 0)
    original: Size = (0, 0)
    written: Size = (0, 0)
    bytes: int = 0

    @property
    def resized(self) -> bool:
        return self.original != self.written

    def without_near(self) -> "ImageOutcome":
        """The same, without the nearest member of a missing image."""
        if self.fault is None or self.fault.reason is not Reason.IMAGE_MISSING:
            return self
        plain = ImageFault(Reason.IMAGE_MISSING, detail(self.path))
        return msgspec.structs.replace(self, fault=plain)


def outcomes_digest(outcomes: Iterable[ImageOutcome], repeated: Iterable[int]) -> str:
    """Returns a hash of everything that affects a chunk's output except its bytes and settings.

    `outcomes` are those of all images that the chunk requests, in any order, and `repeated` the
    indexes of the records that repeat the id of an earlier record.
    """
    in_order = sorted(outcomes, key=lambda outcome: outcome.path)
    # A file's name has a hash of its bytes.
    facts = [msgspec.structs.astuple(outcome)[:-1] for outcome in in_order], sorted(repeated)
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


def require_inside(paths: Iterable[str]) -> None:
    """Raises a ValueError if a path leads out of the output folder.

    Files of a dataset may come from other people. msgspec makes a DecodeError of this, so no such
    path gets into the program.
    """
    for path in paths:
        if fault := unsafe(path):
            raise ValueError(fault)


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
    subset: str = ""

    def __post_init__(self) -> None:
        require_inside((self.path,))


class Broken(msgspec.Struct, frozen=True):
    """A shard that cannot be split into records from the byte `start` to its end, and why.

    `unread` of its `size` bytes were not read. These are bytes of its text: if it is compressed, of
    what it decompresses to, with an estimate for what could not be decompressed.
    """

    start: int
    size: int
    unread: int
    detail: str


class ShardSplit(msgspec.Struct, frozen=True):
    """The chunks of a shard, in order, and its number of records. Named by the shard's stem.

    `why` says what shows the shard's schema; "" if the user has chosen it. The last three are as in
    `ShardSummary`.
    """

    records: int
    chunks: tuple[Chunk, ...]
    schema: Schema = Schema.MAT
    why: str = ""
    compression: str = ""
    key: str = ""
    broken: Broken | None = None


class ChunkRequest(msgspec.Struct, frozen=True):
    """The published paths of a chunk's images, each once. Named by the chunk.

    `ids` has index and identity of each record if duplicates are dropped. `inline` are the images
    that are inside the records.
    """

    images: tuple[str, ...]
    ids: tuple[tuple[int, str], ...] = ()
    inline: tuple[Member, ...] = ()


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
    subset: str = ""

    @property
    def group(self) -> tuple[str, str]:
        """Subset and split: rows of a group are in the same folder."""
        return self.subset, self.split


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
    def group(self) -> tuple[str, str]:
        return (self.base or self.texts[0]).group

    @property
    def name(self) -> str:
        """A name with a hash of all units, so that it identifies their rows."""
        unit = self.base or self.texts[0]
        key = hashlib.sha256(msgspec.json.encode([self.base, self.texts])).hexdigest()[:12]
        return "-".join(filter(None, (unit.subset, unit.split, unit.name, key)))

    def inputs(self) -> tuple[Unit, ...]:
        return (self.base, *self.texts) if self.base else self.texts


class MixOutput(msgspec.Struct, frozen=True):
    """The written parts, and the paths of those that they replace. Named by its job."""

    job: MixJob
    replaced: tuple[str, ...]
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        require_inside(self.replaced)


class ShardSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A finished shard: the fields of `Shard`, its stem and schema, and the sums of its chunks.

    `rejected` is in the order of `Reason`. `parts` of text-only units are below ``_beam_mat/``.
    `tables` are the image results that have rows of its images. `missing` and `tables` are sorted.
    The last three are left out of files if they say nothing: how the shard is compressed, the key
    of the list of records if the shard is one object, and what could not be read of it.
    """

    uri: str
    order: int
    size: int
    version: str
    limit: int | None
    prefix: str
    read_as: Schema | None
    stem: str
    schema: Schema
    why: str
    records: int
    accepted: int
    respelled: int
    image_uses: int
    rejected: tuple[RejectCount, ...]
    units: tuple[Unit, ...]
    parts: tuple[Part, ...]
    rejects: tuple[Part, ...]
    missing: tuple[str, ...]
    tables: tuple[str, ...]
    statistics: Statistics
    compression: str = ""
    key: str = ""
    broken: Broken | None = None

    def __post_init__(self) -> None:
        require_inside((self.stem, *self.tables))

    @property
    def shard(self) -> Shard:
        place = self.uri, self.order, self.size, self.version, self.limit
        return Shard(*place, self.prefix, self.read_as)

    @property
    def content(self) -> tuple[int, str]:
        """Size and version, which identify the shard's content."""
        return self.size, self.version

    @property
    def rejected_records(self) -> int:
        return sum(found.count for found in self.rejected)


def summarise(
    shard: Shard,
    stem: str,
    split: ShardSplit,
    outputs: Mapping[str, ChunkOutput],
    tables: Iterable[str],
) -> ShardSummary:
    """Returns the summary of a shard. `outputs` are by the names of the chunks.

    Raises LostRecordError if a chunk has no output, or a record is not accepted or rejected once.
    """
    if outputs.keys() != {chunk.name for chunk in split.chunks}:
        raise LostRecordError(f"{shard.uri}: the written chunks are not the chunks of the shard")
    statistics = Statistics()
    in_order = [outputs[chunk.name] for chunk in split.chunks]
    for chunk, output in zip(split.chunks, in_order, strict=True):
        refused = sum(found.count for found in output.rejected)
        if output.accepted + refused != chunk.count:
            raise LostRecordError(
                f"{shard.uri}, bytes {chunk.start} to {chunk.end}: {chunk.count} records in, "
                f"{output.accepted} accepted, {refused} rejected"
            )
        statistics.merge(output.statistics)
    rejected = sum_rejected(found for output in in_order for found in output.rejected)
    summary = ShardSummary(
        **msgspec.structs.asdict(shard),
        stem=stem,
        schema=split.schema,
        why=split.why,
        records=split.records,
        accepted=sum(output.accepted for output in in_order),
        respelled=sum(output.respelled for output in in_order),
        image_uses=sum(output.image_uses for output in in_order),
        rejected=tuple(rejected.values()),
        units=tuple(unit for output in in_order for unit in output.units),
        parts=tuple(part for output in in_order for part in output.parts),
        rejects=tuple(output.rejects for output in in_order if output.rejects),
        missing=tuple(sorted({path for output in in_order for path in output.missing})),
        tables=tuple(sorted(set(tables))),
        statistics=statistics.ordered(),
        compression=split.compression,
        key=split.key,
        broken=split.broken,
    )
    check_records(summary)
    return summary


def check_records(summary: ShardSummary) -> None:
    """Raises LostRecordError unless each record of a shard is accepted or rejected."""
    if summary.accepted + summary.rejected_records != summary.records:
        raise LostRecordError(
            f"{summary.uri}: {summary.records} records in, {summary.accepted} accepted, "
            f"{summary.rejected_records} rejected"
        )
