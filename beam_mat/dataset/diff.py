"""Finds what was added, removed or changed between two generations of a dataset, and why.

Reads only files that are in one of the two generations and not in the other.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from beam_mat.core.reject import Reject
from beam_mat.core.results import Part
from beam_mat.core.settings import JSONL, PARQUET
from beam_mat.dataset import image_table
from beam_mat.dataset.commit import Snapshot
from beam_mat.dataset.flat import Row, read_rows
from beam_mat.storage import files
from beam_mat.storage.parts import location

CAME, WENT, CHANGED = "came", "went", "changed"


class Change(msgspec.Struct, frozen=True):
    """One record, image, shard or image source that differs.

    `name` is the id of a record, the published path of an image, or the URI of an input.
    """

    kind: str
    name: str
    why: str


class Diff(msgspec.Struct, frozen=True):
    """The differences between two generations: inputs, records and usable images.

    Records with the same id are listed separately.
    """

    before: int
    after: int
    inputs: tuple[Change, ...]
    records: tuple[Change, ...]
    images: tuple[Change, ...]


def diff(output: str, before: Snapshot, after: Snapshot) -> Diff:
    """Compares two generations."""
    images, replaced = _images(output, before, after)
    inputs = _inputs(before, after)
    records = _records(output, before, after, replaced)
    return Diff(before.number, after.number, tuple(inputs), tuple(records), tuple(images))


def _inputs(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    for noun, was, now in (
        ("shard", before.shards, after.shards),
        ("image source", before.sources, after.sources),
    ):
        for uri in sorted({*was, *now}):
            if uri not in was:
                yield Change(CAME, uri, f"new {noun}")
            elif uri not in now:
                yield Change(WENT, uri, f"the {noun} is no longer among the inputs")
            elif was[uri].content != now[uri].content:
                yield Change(CHANGED, uri, f"new version of the {noun}")


def _images(output: str, before: Snapshot, after: Snapshot) -> tuple[list[Change], dict[str, str]]:
    """Returns changes of images, and for each replaced file the reason."""
    if before.images == after.images:
        return [], {}
    was, now = _usable(output, before), _usable(output, after)
    changes: list[Change] = []
    replaced: dict[str, str] = {}
    for path in sorted(was.keys() | now.keys()):
        if path not in was:
            changes.append(Change(CAME, path, f"from {now[path][1]}"))
        elif path not in now:
            source = was[path][1]
            gone = f"{source} is no longer among the inputs, or no record uses it"
            if source in after.sources:
                gone = f"no record uses it, or it is no longer in {source}"
            changes.append(Change(WENT, path, gone))
        elif was[path][0] != now[path][0]:
            (file, old), (_, new) = was[path], now[path]
            moved = f"now from {new}, previously from {old}"
            why = f"another picture in {new}" if old == new else moved
            changes.append(Change(CHANGED, path, why))
            replaced[file] = f"image {path}: {why}"
    return changes, replaced


def _usable(output: str, snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    """Returns file and source of each usable image, by published path."""
    table = image_table.read(output, snapshot.images, ["path", "file", "source"])
    rows = zip(*(column.to_pylist() for column in table.itercolumns()), strict=True)
    return {path: (file, source) for path, file, source in rows if file is not None}


def _records(
    output: str, before: Snapshot, after: Snapshot, replaced: dict[str, str]
) -> Iterator[Change]:
    was_parts, now_parts = _one_format(before.parts()), _one_format(after.parts())
    was = _by_id(output, _without(was_parts, now_parts), before)
    now = _by_id(output, _without(now_parts, was_parts), after)
    was_rejected = _rejected(output, _without(before.rejects(), after.rejects()))
    now_rejected = _rejected(output, _without(after.rejects(), before.rejects()))
    for id in sorted(was.keys() | now.keys()):
        # Rows that only moved to another part are no change.
        gone, new = _remainder(was[id], now[id]), _remainder(now[id], was[id])
        for old, young in zip(gone, new, strict=False):
            yield Change(CHANGED, id, _why_changed(old, young, before, after, replaced))
        for old in gone[len(new) :]:
            why = _why_single(old, after, now_rejected.get(id), went=True)
            yield Change(WENT, id, why)
        for young in new[len(gone) :]:
            why = _why_single(young, before, was_rejected.get(id), went=False)
            yield Change(CAME, id, why)


class _Found(NamedTuple):
    """A row: a hash of its text, its images, and the shard whose stem is in its part's name."""

    text: str
    images: tuple[str, ...]
    shard: str


def _one_format(parts: list[Part]) -> list[Part]:
    format = JSONL if any(part.format == JSONL for part in parts) else PARQUET
    return [part for part in parts if part.format == format]


def _without(parts: Iterable[Part], others: Iterable[Part]) -> list[Part]:
    known = {part.path for part in others}
    return [part for part in parts if part.path not in known]


def _by_id(
    output: str, parts: Iterable[Part], snapshot: Snapshot
) -> defaultdict[str, list[_Found]]:
    shards = snapshot.shards.values()
    found = defaultdict[str, list[_Found]](list)
    for part in parts:
        # A mixed part is named after one shard, and can have rows of others too.
        shard = next((one.uri for one in shards if f"-{one.stem}-" in part.path), "")
        for row in read_rows(output, part, Row):
            text = hashlib.sha256(msgspec.json.encode(row.text())).hexdigest()
            found[row.id].append(_Found(text, row.images, shard))
    return found


def _remainder(some: list[_Found], others: list[_Found]) -> list[_Found]:
    left = [(one.text, one.images) for one in others]
    rest = []
    for one in some:
        if (one.text, one.images) in left:
            left.remove((one.text, one.images))
        else:
            rest.append(one)
    return rest


def _rejected(output: str, parts: Iterable[Part]) -> dict[str, Reject]:
    found: dict[str, Reject] = {}
    decoder = msgspec.json.Decoder(Reject)
    for part in parts:
        for line in files.read_bytes(location(output, part.path)).splitlines():
            reject = decoder.decode(line)
            if reject.id:
                found.setdefault(reject.id, reject)
    return found


def _why_changed(
    old: _Found, new: _Found, before: Snapshot, after: Snapshot, replaced: dict[str, str]
) -> str:
    if old.text == new.text:
        why = (replaced[file] for file in old.images if file in replaced)
        return next(why, "its images changed")
    was, now = before.shards.get(old.shard), after.shards.get(new.shard)
    if was and now and was.content != now.content:
        return f"new version of {now.uri}"
    return "its text changed"


def _why_single(row: _Found, other: Snapshot, rejected: Reject | None, *, went: bool) -> str:
    """Returns why the other generation does not have a row."""
    if rejected:
        when = "now" if went else "previously"
        return f"{when} rejected as {rejected.reason.value}: {rejected.detail}"
    if row.shard and row.shard not in other.shards:
        return f"{row.shard} is no longer among the inputs" if went else f"new shard {row.shard}"
    return f"new version of {row.shard}" if row.shard else "its shard changed"
