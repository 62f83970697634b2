"""What a dataset says of itself: beam-mat's ``manifest.json``."""

from __future__ import annotations

import hashlib
import re

import msgspec

from mat_trainer.core.errors import ConfigError

NAME = "manifest.json"
FORMAT = 1


class Part(msgspec.Struct, frozen=True):
    """A part file, below the dataset's folder. Unknown fields of later versions are ignored."""

    path: str
    format: str
    split: str
    rows: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """A published dataset.

    Attributes:
        digest: SHA-256 of the manifest's bytes: the same dataset has the same one everywhere.
        parts: Of all formats and splits, sorted by path.
        image_table: ``images.parquet``, one row an image, if there is one.
        generation: The number that `beam-mat watch` gave it; None where it has none.
    """

    digest: str
    parts: tuple[Part, ...]
    image_table: Part | None
    generation: int | None = None

    def rows(self, format: str, split: str = "train") -> int:
        """Rows of one registry entry: ``mat`` is jsonl and train."""
        return sum(part.rows for part in self.parts if (part.format, part.split) == (format, split))


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def unsafe(path: str) -> str | None:
    """What makes `path` unfit as a name below the dataset's folder, or None when it is fit.

    >>> unsafe("parquet/train-mat-0a1b.parquet")
    >>> unsafe("../../etc/passwd")
    "'../../etc/passwd' leads out of the dataset's folder; do not train on it"
    """
    names = path.split("/")
    if any(name in ("", ".", "..") for name in names) or "\\" in path or ":" in names[0]:
        return f"{path[:200]!r} leads out of the dataset's folder; do not train on it"
    if _CONTROL.search(path):
        return f"{path[:200]!r} has a control character; do not train on it"
    return None


class _Raw(msgspec.Struct):
    format: int
    parts: tuple[Part, ...]
    image_table: Part | None = None
    generation: int | None = None


def parse(data: bytes) -> Manifest:
    """Reads a manifest.

    Raises:
        ConfigError: It is none, or of a format that this version does not know.
    """
    try:
        raw = msgspec.json.decode(data, type=_Raw)
    except msgspec.DecodeError as error:
        raise ConfigError([f"{NAME} is not one of beam-mat: {error}; convert again"]) from None
    if raw.format != FORMAT:
        raise ConfigError(
            [f"{NAME} has format {raw.format}, this version reads {FORMAT}: use matching versions"]
        )
    parts = tuple(sorted(raw.parts, key=lambda part: part.path))
    named = [*parts, *([raw.image_table] if raw.image_table else [])]
    if faults := [f"{NAME}: {fault}" for part in named if (fault := unsafe(part.path))]:
        raise ConfigError(faults)
    return Manifest(hashlib.sha256(data).hexdigest(), parts, raw.image_table, raw.generation)
