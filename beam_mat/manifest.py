"""manifest.json: what a dataset is made of, how it was made, and what came out.

It has no time and no runner: the same inputs and configuration give the same manifest.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from typing import Any

import msgspec

import beam_mat
from beam_mat.config import Job
from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.notes import Part
from beam_mat.core.settings import FORMAT, NOTES
from beam_mat.storage import files
from beam_mat.storage.notes import is_json

_PACKAGES = ("apache-beam", "pillow", "pyarrow")


class JsonInput(msgspec.Struct, frozen=True):
    """A shard as it was converted."""

    uri: str
    size: int
    version: str
    records: int


class ImageInput(msgspec.Struct, frozen=True):
    """A zip or folder of images as it was converted; see `beam_mat.core.notes.Source`."""

    uri: str
    size: int
    version: str


class Inputs(msgspec.Struct, frozen=True):
    """What went in, in order."""

    json: tuple[JsonInput, ...]
    images: tuple[ImageInput, ...]


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The file's content; see docs/outputs.md. `generation` is of a watched dataset alone."""

    format: int
    made_by: dict[str, str]
    inputs: Inputs
    configuration: dict[str, Any]
    counts: dict[str, Any]
    parts: tuple[Part, ...]
    rejects: tuple[Part, ...]
    image_table: Part
    generation: int | None = None

    def files(self) -> tuple[Part, ...]:
        """Every file that it lists; the images have their hashes in the table."""
        return (*self.parts, *self.rejects, self.image_table)


def made_by(job: Job) -> dict[str, str]:
    """Versions of what a dataset is made with."""
    versions = {package: metadata.version(package) for package in _PACKAGES}
    return {"beam-mat": beam_mat.__version__, "resizer": job.settings.resizer, **versions}


def configuration(job: Job) -> dict[str, Any]:
    """What a user chose that decides the bytes, by option."""
    settings = job.settings
    return {
        "max_pixels": settings.budget.max_pixels,
        "min_pixels": settings.budget.min_pixels,
        "rewrite": [list(pair) for pair in settings.prefixes],
        "formats": list(settings.formats),
        "val_fraction": settings.val_fraction,
        "duplicates": "drop" if settings.drop_duplicates else "keep",
        "exif": "apply" if settings.apply_exif else "ignore",
        "limit": job.limit,
    }


def inputs_of(job: Job, records: dict[str, int]) -> Inputs:
    """What goes into a job. `records` is how many each shard has, by uri."""
    return Inputs(
        tuple(
            JsonInput(shard.uri, shard.size, shard.version, records[shard.uri])
            for shard in job.shards
        ),
        tuple(ImageInput(source.uri, source.size, source.version) for source in job.sources),
    )


def generation(job: Job) -> str:
    """A hash of inputs and configuration: two jobs that share it write the same bytes."""
    key = [FORMAT, NOTES, job.shards, job.sources, configuration(job), job.settings.resizer]
    return hashlib.sha256(msgspec.json.encode(key)).hexdigest()[:12]


def read(output: str) -> Manifest | None:
    """The manifest of the dataset in an output folder, or None where there is none.

    Raises:
        ConfigError: There is a manifest.json that is none of this layout.
    """
    uri = files.join(output, layout.MANIFEST)
    try:
        found = msgspec.json.decode(files.read_bytes(uri, is_json), type=Manifest)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ConfigError(
            [f"{uri}: is no manifest of this version of beam-mat ({error}); name another folder"]
        ) from error
    if found.format != FORMAT:
        raise ConfigError(
            [
                f"{uri}: is of layout {found.format}, this version of beam-mat writes {FORMAT}; "
                f"use the version that made it ({found.made_by.get('beam-mat')}), or convert again"
            ]
        )
    return found
