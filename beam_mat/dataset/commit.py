"""Commits and snapshots, without input or output.

A commit lists the changes of a dataset. A `Snapshot` is the dataset at one generation: the result
of all commits up to it, and of nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.references import Source
from beam_mat.core.results import MixOutput, Part
from beam_mat.core.settings import FORMAT
from beam_mat.core.summary import ShardSummary

CHECKPOINT_EVERY = 64
"""Number of commits from one checkpoint to the next, so that readers need few files."""

CONVERT = "convert"
WATCH = "watch"


class Shards(msgspec.Struct, frozen=True):
    """Added shards, and URIs of removed ones.

    An added shard replaces a shard with the same URI.
    """

    added: tuple[ShardSummary, ...] = ()
    removed: tuple[str, ...] = ()


class Sources(msgspec.Struct, frozen=True):
    """Added image sources, and URIs of removed ones. Works like `Shards`."""

    added: tuple[Source, ...] = ()
    removed: tuple[str, ...] = ()


class Parts(msgspec.Struct, frozen=True):
    """Added and removed files."""

    added: tuple[Part, ...] = ()
    removed: tuple[Part, ...] = ()


class Mixes(msgspec.Struct, frozen=True):
    """Added mixes of text-only rows, and names of removed ones."""

    added: tuple[MixOutput, ...] = ()
    removed: tuple[str, ...] = ()


class Made(msgspec.Struct, frozen=True):
    """How a generation was made.

    Attributes:
        command: `CONVERT` or `WATCH`.
        fingerprint: As in `Settings`.
        made_by: Versions, by package.
        configuration: Options that affect the output bytes, by name.
        keep: How many generations are kept, or None for all.
    """

    command: str
    fingerprint: str
    made_by: dict[str, str]
    configuration: dict[str, Any]
    keep: int | None = None


class Commit(msgspec.Struct, frozen=True):
    """One commit; see docs/outputs.md.

    Attributes:
        format: Version of the output's layout.
        generation: Its number, from 1.
        previous: The generation that it builds on; 0 if it builds on none.
        lineage: A hash of the dataset's first commit: the same for all its generations.
        command, fingerprint, made_by, configuration, keep: As in `Made`.
        counts: For the whole dataset, as in the manifest.
        shards: Shards.
        sources: Image sources.
        parts: Data files.
        rejects: Files of rejected records.
        mixes: Mixes of text-only rows.
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
    shards: Shards
    sources: Sources
    parts: Parts
    rejects: Parts
    mixes: Mixes
    images: Parts

    @property
    def made(self) -> Made:
        """How the generation was made."""
        return Made(self.command, self.fingerprint, self.made_by, self.configuration, self.keep)


class Content(msgspec.Struct, frozen=True):
    """The complete content of a dataset after a commit.

    Attributes:
        shards: All shards, by URI.
        sources: All image sources, by URI.
        mixes: All mixes, by name.
        images: All image tables, in order. If a table occurs twice, its last position counts.
        counts: For the whole dataset.
    """

    shards: Mapping[str, ShardSummary]
    sources: Mapping[str, Source]
    mixes: Mapping[str, MixOutput]
    images: tuple[Part, ...]
    counts: dict[str, Any]


class Snapshot:
    """A dataset at one generation.

    Attributes:
        number: The generation; 0 before the first.
        lineage: As in `Commit`.
        made: How it was made; None before the first generation.
        shards: By URI.
        sources: By URI.
        mixes: By name.
        images: Image tables, in order.
        counts: For the whole dataset.
    """

    def __init__(self) -> None:
        self.number = 0
        self.lineage = ""
        self.made: Made | None = None
        self.shards: dict[str, ShardSummary] = {}
        self.sources: dict[str, Source] = {}
        self.mixes: dict[str, MixOutput] = {}
        self.images: list[Part] = []
        self.counts: dict[str, Any] = {}

    def apply(self, commit: Commit) -> None:
        """Applies a commit.

        Raises:
            ValueError: The commit builds on another generation.
        """
        if commit.previous == 0:
            self.shards, self.sources, self.mixes, self.images = {}, {}, {}, []
        elif commit.previous != self.number:
            raise ValueError(
                f"generation {commit.generation} builds on {commit.previous}, not on {self.number}"
            )
        self.number, self.lineage, self.made = commit.generation, commit.lineage, commit.made
        _change(self.shards, {one.uri: one for one in commit.shards.added}, commit.shards.removed)
        _change(
            self.sources, {one.uri: one for one in commit.sources.added}, commit.sources.removed
        )
        _change(self.mixes, {one.job.name: one for one in commit.mixes.added}, commit.mixes.removed)
        removed = set(commit.images.removed)
        self.images = [part for part in self.images if part not in removed]
        self.images += commit.images.added
        self.counts = commit.counts

    def ordered_shards(self) -> list[ShardSummary]:
        """Returns the shards in the order of the inputs."""
        return sorted(self.shards.values(), key=lambda one: (one.order, one.uri))

    def ordered_sources(self) -> list[Source]:
        """Returns the image sources in order of precedence."""
        return sorted(self.sources.values(), key=lambda one: (one.order, one.uri))

    def parts(self) -> list[Part]:
        """Returns the data files, by path."""
        return live_parts(self.shards.values(), self.mixes.values())

    def rejects(self) -> list[Part]:
        """Returns the files of rejected records, by path."""
        return live_rejects(self.shards.values())

    def files(self) -> set[str]:
        """Returns the paths of all data files and rejects."""
        return {part.path for part in (*self.parts(), *self.rejects())}

    def next(self, made: Made, content: Content, *, number: int | None = None) -> Commit:
        """Returns the commit that changes the dataset to the given content.

        Args:
            made: How it is made. If only one generation is kept, the commit builds on no other.
            content: The content.
            number: The generation, if it is not the next one; then the commit builds on no other.

        Raises:
            LostRecordError: The number of rows in a format differs from the accepted records.
        """
        alone = made.keep == 1 or number is not None or self.number == 0
        before = Snapshot() if alone else self
        parts = live_parts(content.shards.values(), content.mixes.values())
        _check_rows(parts, sum(one.accepted for one in content.shards.values()))
        shards = sorted(content.shards.values(), key=lambda one: (one.order, one.uri))
        sources = sorted(content.sources.values(), key=lambda one: (one.order, one.uri))
        return Commit(
            format=FORMAT,
            generation=number or self.number + 1,
            previous=before.number,
            lineage=self.lineage or _lineage(made, shards),
            command=made.command,
            fingerprint=made.fingerprint,
            keep=made.keep,
            made_by=made.made_by,
            configuration=made.configuration,
            counts=content.counts,
            shards=Shards(
                tuple(one for one in shards if before.shards.get(one.uri) != one),
                tuple(uri for uri in before.shards if uri not in content.shards),
            ),
            sources=Sources(
                tuple(one for one in sources if before.sources.get(one.uri) != one),
                tuple(uri for uri in before.sources if uri not in content.sources),
            ),
            parts=_parts(before.parts(), parts),
            rejects=_parts(before.rejects(), live_rejects(content.shards.values())),
            mixes=Mixes(
                tuple(one for name, one in content.mixes.items() if before.mixes.get(name) != one),
                tuple(name for name, one in before.mixes.items() if content.mixes.get(name) != one),
            ),
            images=_list_change(before.images, _without_repeats(content.images)),
        )

    def copy(self) -> Snapshot:
        """Returns an independent copy."""
        twin = Snapshot()
        twin.number, twin.lineage, twin.made = self.number, self.lineage, self.made
        twin.shards, twin.sources = dict(self.shards), dict(self.sources)
        twin.mixes, twin.images, twin.counts = dict(self.mixes), list(self.images), self.counts
        return twin

    def is_content(self, content: Content) -> bool:
        """Returns whether the dataset has exactly this content."""
        return (
            self.shards == content.shards
            and self.sources == content.sources
            and self.mixes == content.mixes
            and self.images == _without_repeats(content.images)
        )

    def content(self) -> Content:
        """Returns the content of the dataset."""
        return Content(self.shards, self.sources, self.mixes, tuple(self.images), self.counts)

    def checkpoint(self) -> Commit:
        """Returns one commit that replaces all commits so far."""
        assert self.made is not None
        empty = Snapshot()
        empty.lineage = self.lineage
        return empty.next(self.made, self.content(), number=self.number)


def _lineage(made: Made, shards: Iterable[ShardSummary]) -> str:
    key = [made.fingerprint, *(one.stem for one in shards)]
    return hashlib.sha256(msgspec.json.encode(key)).hexdigest()[:16]


def _change(values: dict[str, Any], added: Mapping[str, Any], removed: Iterable[str]) -> None:
    for name in removed:
        del values[name]
    values.update(added)


def _parts(before: Iterable[Part], after: Iterable[Part]) -> Parts:
    before, after = list(before), list(after)
    was, will_be = set(before), set(after)
    return Parts(
        tuple(part for part in after if part not in was),
        tuple(part for part in before if part not in will_be),
    )


def _without_repeats(parts: Iterable[Part]) -> list[Part]:
    return list(dict.fromkeys(reversed(list(parts))))[::-1]


def _list_change(before: list[Part], after: list[Part]) -> Parts:
    """Returns the change from one list to another. A part that moves is removed and added.

    If an image changes back to an earlier version, its old table must move to the end.
    """
    stay: list[Part] = []
    for part in before:
        if len(stay) < len(after) and after[len(stay)] == part:
            stay.append(part)
    return Parts(tuple(after[len(stay) :]), tuple(part for part in before if part not in stay))


def _check_rows(parts: Iterable[Part], accepted: int) -> None:
    rows: dict[str, int] = {}
    for part in parts:
        rows[part.format] = rows.get(part.format, 0) + part.rows
    for format, count in rows.items():
        if count != accepted:
            raise LostRecordError(f"{accepted} records accepted, {count} rows in {format}")


def live_parts(shards: Iterable[ShardSummary], mixes: Iterable[MixOutput]) -> list[Part]:
    """Returns the data files that hold the rows of shards, by path.

    Raises:
        LostRecordError: Text-only rows were set aside and are not in any mix.
    """
    mixes = list(mixes)
    replaced = {path for mix in mixes for path in mix.replaced}
    parts = [part for mix in mixes for part in mix.parts]
    parts += [part for one in shards for part in one.parts if part.path not in replaced]
    for part in parts:
        if part.path.startswith(f"{layout.TEXT_ONLY}/"):
            raise LostRecordError(f"{part.path}: its rows have not been mixed with image rows")
    return sorted(parts, key=lambda part: part.path)


def live_rejects(shards: Iterable[ShardSummary]) -> list[Part]:
    """Returns the files of rejected records of shards, by path."""
    return sorted((part for one in shards for part in one.rejects), key=lambda part: part.path)


def file_name(number: int) -> str:
    """Returns the path of a commit's file below the output folder.

    >>> file_name(42), checkpoint_name(64)
    ('generations/000042.json', 'generations/000064.checkpoint.json')
    """
    return f"{layout.GENERATIONS}/{number:06d}.json"


def checkpoint_name(number: int) -> str:
    """Returns the path of the checkpoint of a generation."""
    return f"{layout.GENERATIONS}/{number:06d}.checkpoint.json"
