"""The generations of a dataset that `beam-mat watch` keeps current, and what each one holds. Pure.

``generations/000042.json`` says what generation 42 adds to the dataset and takes from it. It is
never changed. ``generations/000064.whole.json`` stands for all of 1 to 64, so that a reader needs
no more than 64 files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import FORMAT, Manifest, Part, unsafe

FOLDER = "generations"
REPLACED = "replaced"
"""Where a part lies, under its own path, that a later generation took from the dataset."""
SNAPSHOT_EVERY = 64


class Changes(msgspec.Struct, frozen=True):
    """Part files that come and go."""

    added: tuple[Part, ...] = ()
    removed: tuple[Part, ...] = ()


class Generation(msgspec.Struct, frozen=True):
    """One file of ``generations/``. Unknown fields of later versions are ignored.

    Attributes:
        format: Of the layout.
        generation: Its number, from 1.
        parts: Data files that it adds and removes.
        images: Table of the images that are new or changed in it; later generations win per path.
    """

    format: int
    generation: int
    parts: Changes
    images: Part | None = None


class Whole(msgspec.Struct, frozen=True):
    """A dataset as of one generation.

    Attributes:
        number: Of the generation.
        manifest: In the form of a manifest: every part that is live.
        tables: Of images, oldest first; later ones win per path.
        lineage: Digest of the first generation: the same for every generation of one dataset,
            wherever it lies.
    """

    number: int
    manifest: Manifest
    tables: tuple[Part, ...]
    lineage: str


def name(number: int) -> str:
    """The file of a generation, below the dataset's folder.

    >>> name(42)
    'generations/000042.json'
    """
    return f"{FOLDER}/{number:06}.json"


def snapshot_name(number: int) -> str:
    """The file that stands for all generations up to this one.

    >>> snapshot_name(64)
    'generations/000064.whole.json'
    """
    return f"{FOLDER}/{number:06}.whole.json"


def snapshots(number: int) -> Iterator[int]:
    """The snapshots that generation `number` can be read from, best first.

    >>> list(snapshots(130))
    [128, 64]
    """
    newest = number // SNAPSHOT_EVERY * SNAPSHOT_EVERY
    return iter(range(newest, 0, -SNAPSHOT_EVERY))


def parse(data: bytes, path: str, number: int) -> Generation:
    """Reads a file of ``generations/``.

    Args:
        data: What it says.
        path: Its name, for messages.
        number: What it must be of.

    Raises:
        ConfigError: It is none, of another number, or of a format that this version does not know.
    """
    try:
        found = msgspec.json.decode(data, type=Generation)
    except msgspec.DecodeError as error:
        raise ConfigError([f"{path} is not one of beam-mat: {error}; restore it"]) from None
    if found.format != FORMAT:
        raise ConfigError(
            [f"{path}: format {found.format}, this version reads {FORMAT}: use matching versions"]
        )
    if found.generation != number:
        raise ConfigError([f"{path} is of generation {found.generation}: restore it"])
    images = [found.images] if found.images else []
    named = [*found.parts.added, *found.parts.removed, *images]
    if faults := [f"{path}: {fault}" for part in named if (fault := unsafe(part.path))]:
        raise ConfigError(faults)
    return found


def fold(history: Sequence[Generation]) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """What the last of some generations holds: the first of all or a snapshot, then each one.

    Returns:
        The parts, sorted by path, and the tables of images, oldest first.

    Raises:
        ConfigError: One takes away what is not there, or adds what is there.
    """
    live: dict[str, Part] = {}
    faults = []
    for one in history:
        for part in one.parts.removed:
            if live.pop(part.path, None) is None:
                faults.append(f"{name(one.generation)} removes {part.path}, which is not there")
        for part in one.parts.added:
            if part.path in live:
                faults.append(f"{name(one.generation)} adds {part.path}, which is there already")
            live[part.path] = part
    if faults:
        raise ConfigError([f"{fault}: the files of {FOLDER}/ do not fit" for fault in faults[:20]])
    tables = tuple(one.images for one in history if one.images)
    return tuple(live[path] for path in sorted(live)), tables


def manifest(parts: tuple[Part, ...], data: bytes) -> Manifest:
    """The manifest of a generation.

    Args:
        parts: That are live.
        data: Its own file: the digest depends on that and the parts alone, so that it is the same
            whichever snapshot was there to begin with.
    """
    told = msgspec.json.encode([hashlib.sha256(data).hexdigest(), parts])
    return Manifest(hashlib.sha256(told).hexdigest(), parts, None)
