"""Commits and snapshots, without file access.

A commit lists the changes of a dataset. A `Snapshot` is the dataset at one generation: the result
of all commits up to it, and of nothing else.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.results import MixOutput, Part, ShardSummary, Source, sum_rejected
from beam_mat.core.settings import FORMAT
from beam_mat.core.statistics import most_frequent

CHECKPOINT_EVERY = 64
"""Number of commits from one checkpoint to the next, so that readers need few files."""

CONVERT = "convert"
WATCH = "watch"

T = TypeVar("T")
Removed = TypeVar("Removed")
Ordered = TypeVar("Ordered", ShardSummary, Source)


class Delta(msgspec.Struct, Generic[T, Removed], frozen=True):
    """What a commit adds and removes.

    Values with a name are removed by name, and an added one replaces a value of the same name.
    """

    added: tuple[T, ...] = ()
    removed: tuple[Removed, ...] = ()


class Made(msgspec.Struct, frozen=True):
    """How a generation was made.

    `command` is `CONVERT` or `WATCH`, `made_by` has versions by package, `configuration` has the
    options that affect the output bytes, and `keep` is None if all generations are kept.
    """

    command: str
    fingerprint: str
    made_by: dict[str, str]
    configuration: dict[str, Any]
    keep: int | None = None


class Commit(msgspec.Struct, frozen=True):
    """One commit; see docs/outputs.md.

    Attributes:
        previous: The generation that it builds on; 0 if it builds on none.
        lineage: A hash of the dataset's first commit: the same for all its generations.
        counts: For the whole dataset, as in the manifest.
        shards, sources, mixes: Shards and image sources by URI, and mixes by name.
        images: Image tables. First the removed tables are taken out, then the added ones are
            appended in order. If several rows have the same path, the last one counts.
    """

    format: int
    generation: int
    previous: int
    lineage: str
    command: str
    fingerprint: str
    keep: int | None
    made_by: dict[str, str]
    configuration: dict[str, Any]
    counts: dict[str, Any]
    shards: Delta[ShardSummary, str]
    sources: Delta[Source, str]
    parts: Delta[Part, Part]
    rejects: Delta[Part, Part]
    mixes: Delta[MixOutput, str]
    images: Delta[Part, Part]

    @property
    def made(self) -> Made:
        return Made(self.command, self.fingerprint, self.made_by, self.configuration, self.keep)


class ImageTotals(msgspec.Struct, frozen=True):
    """Totals of the images of a dataset.

    `status` has the number of images by status: kept, resized, converted, or the reason of a fault.
    `source_bytes` and `bytes` are those of the usable images in the sources and in the dataset.
    `notes` has the number of images by `core.image.Note`.
    """

    status: dict[str, int]
    source_bytes: int
    bytes: int
    notes: dict[str, int] = {}


def counts_of(shards: Iterable[ShardSummary], images: ImageTotals) -> dict[str, Any]:
    """Returns the counts of a dataset with these shards and images, as in the manifest."""
    shards = list(shards)
    rejected = sum_rejected(found for one in shards for found in one.rejected)
    return {
        "records": sum(one.records for one in shards),
        "accepted": sum(one.accepted for one in shards),
        "rejected": sum(one.rejected_records for one in shards),
        "rejected_by_reason": {reason.value: found.count for reason, found in rejected.items()},
        "unread_bytes": sum(one.broken.unread for one in shards if one.broken),
        "respelled_words": sum(one.respelled for one in shards),
        "schemas": dict(sorted(Counter(one.schema.value for one in shards).items())),
        "changes": most_frequent(one.statistics.changes for one in shards),
        "unknown_keys": most_frequent(one.statistics.unknown_keys for one in shards),
        "image_uses": sum(one.image_uses for one in shards),
        "records_with_pixel_boxes": sum(one.statistics.pixel_boxes.records for one in shards),
        "images": images.status,
        "image_notes": images.notes,
        "image_source_bytes": images.source_bytes,
        "image_bytes": images.bytes,
    }


class Content(msgspec.Struct):
    """The complete content of a dataset.

    Shards and image sources are by URI, and mixes by name. If an image table occurs twice, its last
    position counts.
    """

    shards: dict[str, ShardSummary] = {}
    sources: dict[str, Source] = {}
    mixes: dict[str, MixOutput] = {}
    images: tuple[Part, ...] = ()
    counts: dict[str, Any] = {}

    def parts(self) -> list[Part]:
        """Returns the data files, by path. Raises LostRecordError if text-only rows are unmixed."""
        replaced = {path for mix in self.mixes.values() for path in mix.replaced}
        parts = [part for mix in self.mixes.values() for part in mix.parts]
        parts += [
            part for one in self.shards.values() for part in one.parts if part.path not in replaced
        ]
        for part in parts:
            if part.path.startswith(f"{layout.TEXT_ONLY}/"):
                raise LostRecordError(f"{part.path}: its rows have not been mixed with image rows")
        return sorted(parts, key=lambda part: part.path)

    def rejects(self) -> list[Part]:
        """Returns the files of rejected records, by path."""
        rejects = (part for one in self.shards.values() for part in one.rejects)
        return sorted(rejects, key=lambda part: part.path)

    def files(self) -> set[str]:
        """Returns the paths of all data files and rejects."""
        return {part.path for part in (*self.parts(), *self.rejects())}


class Snapshot(Content):
    """A dataset at generation `number`, which is 0 before the first.

    If it is unknown how it was made, the next commit builds on no other.
    """

    number: int = 0
    lineage: str = ""
    made: Made | None = None

    def apply(self, commit: Commit) -> None:
        """Applies a commit. Raises ValueError if it builds on another generation."""
        if commit.previous == 0:
            self.shards, self.sources, self.mixes, self.images = {}, {}, {}, ()
        elif commit.previous != self.number:
            raise ValueError(
                f"generation {commit.generation} builds on {commit.previous}, not on {self.number}"
            )
        self.number, self.lineage, self.made = commit.generation, commit.lineage, commit.made
        self.shards = _applied(self.shards, commit.shards, lambda one: one.uri)
        self.sources = _applied(self.sources, commit.sources, lambda one: one.uri)
        self.mixes = _applied(self.mixes, commit.mixes, lambda mix: mix.job.name)
        removed = set(commit.images.removed)
        kept = (part for part in self.images if part not in removed)
        self.images = (*kept, *commit.images.added)
        self.counts = commit.counts

    def next(self, made: Made, content: Content) -> Commit:
        """Returns the commit that changes the dataset to the given content.

        If a conversion keeps only its own generation, the commit builds on no other. Raises
        LostRecordError if the number of rows in a format differs from the accepted records.
        """
        is_alone = made.command == CONVERT and made.keep == 1
        before = Snapshot() if is_alone or self.made is None else self
        parts, shards = content.parts(), in_order(content.shards.values())
        sources = in_order(content.sources.values())
        _check_rows(parts, sum(one.accepted for one in shards))
        return Commit(
            format=FORMAT,
            generation=self.number + 1,
            previous=before.number,
            lineage=self.lineage or _lineage(made, shards),
            **msgspec.structs.asdict(made),
            counts=content.counts,
            shards=_named(before.shards, {one.uri: one for one in shards}),
            sources=_named(before.sources, {one.uri: one for one in sources}),
            parts=_parts(before.parts(), parts),
            rejects=_parts(before.rejects(), content.rejects()),
            mixes=_named(before.mixes, content.mixes),
            images=_tables(before.images, _without_repeats(content.images)),
        )

    def is_content(self, content: Content) -> bool:
        """Returns whether the dataset has exactly this content."""
        return (
            self.shards == content.shards
            and self.sources == content.sources
            and self.mixes == content.mixes
            and self.images == _without_repeats(content.images)
        )

    def checkpoint(self) -> Commit:
        """Returns one commit that replaces all commits so far."""
        assert self.made is not None
        return Snapshot(number=self.number - 1, lineage=self.lineage).next(self.made, self)


def in_order(some: Iterable[Ordered]) -> list[Ordered]:
    """Returns shards or image sources in the order of the inputs."""
    return sorted(some, key=lambda one: (one.order, one.uri))


def _lineage(made: Made, shards: Iterable[ShardSummary]) -> str:
    key = [made.fingerprint, *(one.stem for one in shards)]
    return hashlib.sha256(msgspec.json.encode(key)).hexdigest()[:16]


def _applied(
    values: dict[str, T], delta: Delta[T, str], name_of: Callable[[T], str]
) -> dict[str, T]:
    left = dict(values)
    for name in delta.removed:
        del left[name]
    return left | {name_of(value): value for value in delta.added}


def _named(before: dict[str, T], after: dict[str, T]) -> Delta[T, str]:
    return Delta(
        tuple(value for name, value in after.items() if before.get(name) != value),
        tuple(name for name in before if name not in after),
    )


def _parts(before: Sequence[Part], after: Sequence[Part]) -> Delta[Part, Part]:
    was, now = set(before), set(after)
    return Delta(
        tuple(part for part in after if part not in was),
        tuple(part for part in before if part not in now),
    )


def _without_repeats(parts: Sequence[Part]) -> tuple[Part, ...]:
    return tuple(dict.fromkeys(reversed(parts)))[::-1]


def _tables(before: Sequence[Part], after: Sequence[Part]) -> Delta[Part, Part]:
    """Returns the change from one list to another. A part that moves is removed and added.

    If an image changes back to an earlier version, its old table must move to the end.
    """
    stay: list[Part] = []
    for part in before:
        if len(stay) < len(after) and after[len(stay)] == part:
            stay.append(part)
    return Delta(tuple(after[len(stay) :]), tuple(part for part in before if part not in stay))


def _check_rows(parts: Iterable[Part], accepted: int) -> None:
    rows: dict[str, int] = {}
    for part in parts:
        rows[part.format] = rows.get(part.format, 0) + part.rows
    for format, count in rows.items():
        if count != accepted:
            raise LostRecordError(f"{accepted} records accepted, {count} rows in {format}")


def file_name(number: int, *, checkpoint: bool = False) -> str:
    """Returns the path of a commit or a checkpoint below the output folder.

    >>> file_name(42), file_name(64, checkpoint=True)
    ('generations/000042.json', 'generations/000064.checkpoint.json')
    """
    return f"{layout.GENERATIONS}/{number:06d}{'.checkpoint' if checkpoint else ''}.json"
