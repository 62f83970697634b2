"""A dataset's ``manifest.json``, as beam-mat writes it: its part files and their checksums."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from mat_trainer.core import subset
from mat_trainer.core.errors import ConfigError

NAME = "manifest.json"
IMAGE_TABLE = "images.parquet"
FORMAT = 3
WATCH = "watch"
"""The command of a dataset that changes while it is in use."""

T = TypeVar("T")


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a dataset, with its path below the dataset's folder. Unknown fields are ignored."""

    path: str
    format: str
    split: str
    rows: int
    bytes: int
    sha256: str
    subset: str = ""
    image_rows: int = 0


DEFAULT_NAME = "mat"


class Configuration(msgspec.Struct, frozen=True):
    """The options of a conversion that matter here."""

    name: str = DEFAULT_NAME


class Manifest(msgspec.Struct, frozen=True):
    """A finished dataset.

    Attributes:
        digest: Identifies the content: the same for copies of a dataset.
        parts: Part files of all formats and splits, sorted by path.
        image_table: ``images.parquet``, with one row for each image; None in a snapshot.
        generation: Number of the commit that the manifest shows.
        command: The beam-mat command that wrote it: ``convert`` or ``watch``.
        name: The name that all entries of the registry begin with.
    """

    digest: str
    parts: tuple[Part, ...]
    image_table: Part | None
    generation: int
    command: str
    name: str = DEFAULT_NAME


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def unsafe(path: str) -> str | None:
    """Why `path` must not be used below the dataset's folder; None if it is safe.

    >>> unsafe("parquet/train-mat-0a1b.parquet")
    >>> unsafe("../../etc/passwd")
    "'../../etc/passwd' leads out of the dataset's folder; do not train on this dataset"
    """
    names = path.split("/")
    if any(name in ("", ".", "..") for name in names) or "\\" in path or ":" in names[0]:
        return f"{path[:200]!r} leads out of the dataset's folder; do not train on this dataset"
    if _CONTROL.search(path):
        return f"{path[:200]!r} has a control character; do not train on this dataset"
    return None


def check_paths(paths: Iterable[str], file: str) -> None:
    """Refuses unsafe paths that `file` names.

    Raises:
        ConfigError: At least one is unsafe; the first 20 are reported.
    """
    if faults := [f"{file}: {fault}" for path in paths if (fault := unsafe(path))]:
        raise ConfigError(*faults[:20])


def check_subsets(parts: Iterable[Part], file: str) -> None:
    """Refuses rows that this version does not know.

    Raises:
        ConfigError: At least one part has such rows.
    """
    found = {part.subset: fault for part in parts if (fault := subset.fault(part.subset))}
    if found:
        raise ConfigError(
            *(
                f"{file} {fault}: install the mat-trainer of the beam-mat that wrote the dataset"
                for _, fault in sorted(found.items())
            )
        )


_PART = re.compile(r"(?:jsonl|parquet)(?:_[a-z]+)*/[^/]+")


def check_parts(paths: Iterable[str], file: str) -> None:
    """Refuses parts outside of the folders for parts: ``dataset_info.json`` is none, for example.

    Raises:
        ConfigError: At least one is elsewhere; the first 20 are reported.
    """
    paths = list(paths)
    check_paths(paths, file)
    if alien := [path for path in paths if not _PART.fullmatch(path)]:
        why = "is not in a folder for parts; do not train on this dataset"
        raise ConfigError(*(f"{file}: {path[:200]!r} {why}" for path in alien[:20]))


class _Format(msgspec.Struct):
    format: int


def decode(data: bytes, kind: type[T], file: str) -> T:
    """Reads a JSON file of a dataset.

    Args:
        data: Its content.
        kind: Its type, a struct with a field ``format``.
        file: Its name, for messages.

    Raises:
        ConfigError: It is damaged, or of a format that this version does not know.
    """
    try:
        found = msgspec.json.decode(data, type=_Format).format
        if found == FORMAT:
            return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"{file}: not a file of beam-mat ({error}); restore it, or convert again"
        ) from None
    raise ConfigError(
        f"{file} has format {found}, but this mat-trainer reads format {FORMAT}: convert again "
        "with the beam-mat of this version, or install the matching mat-trainer",
    )


class _File(msgspec.Struct):
    format: int
    parts: tuple[Part, ...]
    generation: int
    command: str
    image_table: Part | None = None
    configuration: Configuration = Configuration()


def parse(data: bytes) -> Manifest:
    """Reads a manifest.

    Raises:
        ConfigError: It is damaged, has unsafe paths, or has an unknown format.
    """
    file = decode(data, _File, NAME)
    parts = tuple(sorted(file.parts, key=lambda part: part.path))
    check_subsets(parts, NAME)
    check_parts((part.path for part in parts), NAME)
    if file.image_table and file.image_table.path != IMAGE_TABLE:
        why = f"is not {IMAGE_TABLE}; do not train on this dataset"
        raise ConfigError(f"{NAME}: the table of images {file.image_table.path[:200]!r} {why}")
    digest = hashlib.sha256(data).hexdigest()
    name = file.configuration.name
    return Manifest(digest, parts, file.image_table, file.generation, file.command, name)
