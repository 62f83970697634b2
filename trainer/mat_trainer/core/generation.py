"""The log of a dataset: what each generation adds and removes. Pure.

``generations/000042.json`` is a commit: it lists what generation 42 adds and removes, and it never
changes. ``generations/000064.checkpoint.json`` has the same shape and stands for all commits up to
64. A generation is read from the newest checkpoint at or below it and the commits after that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from mat_trainer.core.errors import ConfigError
from mat_trainer.core.manifest import (
    WATCH,
    Configuration,
    Manifest,
    Part,
    check_parts,
    check_paths,
    check_subsets,
    decode,
)

FOLDER = "generations"
REPLACED = "replaced"
"""Folder of the parts that only older generations have, each below it under its own path."""

_FILE = re.compile(r"(\d{6,})(\.checkpoint)?\.json")


class Changes(msgspec.Struct, frozen=True):
    """Files that are added and removed."""

    added: tuple[Part, ...] = ()
    removed: tuple[Part, ...] = ()


class Commit(msgspec.Struct, frozen=True):
    """A commit or a checkpoint of the log. Unknown fields are ignored.

    Attributes:
        format: Format of the dataset's layout.
        generation: Its number, from 1.
        previous: The generation that it builds on; 0 if it builds on none, as for a checkpoint.
        lineage: The same for all generations of a dataset.
        parts: Data files.
        images: Tables of images, in order: for each path, the last table that has it counts.
        configuration: The options of the command that wrote it.
    """

    format: int
    generation: int
    previous: int
    lineage: str
    parts: Changes
    images: Changes = Changes()
    configuration: Configuration = Configuration()


class Snapshot(msgspec.Struct, frozen=True):
    """A dataset at one generation.

    Attributes:
        number: The generation.
        manifest: Its parts, in the form of a manifest.
        tables: Tables of images, in order: for each path, the last table that has it counts.
        lineage: The same for all generations of a dataset, wherever it is stored.
    """

    number: int
    manifest: Manifest
    tables: tuple[Part, ...]
    lineage: str


def name(number: int) -> str:
    """The file of a commit, relative to the dataset's folder.

    >>> name(42)
    'generations/000042.json'
    """
    return f"{FOLDER}/{number:06}.json"


def checkpoint_name(number: int) -> str:
    """The file that stands for all commits up to `number`.

    >>> checkpoint_name(64)
    'generations/000064.checkpoint.json'
    """
    return f"{FOLDER}/{number:06}.checkpoint.json"


def numbers(files: Sequence[str]) -> tuple[set[int], set[int]]:
    """The numbers of the commits and of the checkpoints among the files of ``generations/``.

    >>> numbers(["000007.json", "000007.checkpoint.json", "000007-0a1b.images.parquet"])
    ({7}, {7})
    """
    found = [match for file in files if (match := _FILE.fullmatch(file))]
    commits = {int(match[1]) for match in found if not match[2]}
    return commits, {int(match[1]) for match in found if match[2]}


def parse(data: bytes, path: str, number: int) -> Commit:
    """Reads a commit or a checkpoint.

    Args:
        data: The file's content.
        path: Its name, for messages.
        number: The generation that it must be of.

    Raises:
        ConfigError: It is damaged, of another generation or of an unknown format.
    """
    found = decode(data, Commit, path)
    if found.generation != number:
        raise ConfigError(f"{path} is of generation {found.generation}; restore the file")
    parts, tables = found.parts, found.images
    check_subsets(parts.added, path)
    check_parts((part.path for part in (*parts.added, *parts.removed)), path)
    check_paths((part.path for part in (*tables.added, *tables.removed)), path)
    if alien := [part.path for part in tables.added if not part.path.startswith(f"{FOLDER}/")]:
        why = f"is not in {FOLDER}/; do not train on this dataset"
        raise ConfigError(f"{path}: the table of images {alien[0][:200]!r} {why}")
    return found


def fold(history: Sequence[Commit]) -> Snapshot:
    """The snapshot at the last of some commits.

    Args:
        history: A checkpoint or a commit that builds on nothing, then each commit in order.

    Raises:
        ConfigError: The commits contradict each other.
    """
    parts: dict[str, Part] = {}
    tables: dict[str, Part] = {}
    faults: list[str] = []
    for before, commit in zip((None, *history), history, strict=False):
        if commit.previous != (before.generation if before else 0):
            faults.append(f"{name(commit.generation)} builds on generation {commit.previous}")
        for files, changes in ((parts, commit.parts), (tables, commit.images)):
            _apply(changes, files, name(commit.generation), faults)
    if faults:
        raise ConfigError(*(f"{one}: restore {FOLDER}/, whose files do not fit" for one in faults))
    last = history[-1]
    live = tuple(parts[path] for path in sorted(parts))
    # Not the hash of the commit's bytes: a reader may have read a checkpoint instead.
    # Nor of what only helps to read the files, so that a run stays on what it was begun with.
    content = [msgspec.structs.replace(part, image_rows=0) for part in live]
    identity = msgspec.json.encode([last.lineage, last.generation, content])
    digest = hashlib.sha256(identity).hexdigest()
    entries = last.configuration.name
    manifest = Manifest(digest, live, None, last.generation, WATCH, entries)
    return Snapshot(last.generation, manifest, tuple(tables.values()), last.lineage)


def _apply(changes: Changes, live: dict[str, Part], file: str, faults: list[str]) -> None:
    for part in changes.removed:
        if live.pop(part.path, None) is None:
            faults.append(f"{file} removes {part.path}, which is not in the dataset")
    for part in changes.added:
        if part.path in live:
            faults.append(f"{file} adds {part.path}, which is in the dataset already")
        live[part.path] = part
