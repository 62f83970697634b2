"""manifest.json: the inputs, the configuration and the files of a dataset.

It depends only on the newest generation, so it has no timestamp and no runner.
"""

from __future__ import annotations

from typing import Any

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.results import Part
from beam_mat.core.settings import FORMAT
from beam_mat.dataset.commit import Snapshot
from beam_mat.storage import files
from beam_mat.work.results import is_json


class JsonInput(msgspec.Struct, frozen=True):
    """A shard as it was converted."""

    uri: str
    size: int
    version: str
    records: int


class ImageInput(msgspec.Struct, frozen=True):
    """A zip or folder of images as it was converted; see `core.references.Source`."""

    uri: str
    size: int
    version: str


class Inputs(msgspec.Struct, frozen=True):
    """The inputs, in order."""

    json: tuple[JsonInput, ...]
    images: tuple[ImageInput, ...]


class Manifest(msgspec.Struct, frozen=True):
    """The content of manifest.json; see docs/outputs.md."""

    format: int
    generation: int
    command: str
    made_by: dict[str, str]
    inputs: Inputs
    configuration: dict[str, Any]
    counts: dict[str, Any]
    parts: tuple[Part, ...]
    rejects: tuple[Part, ...]
    image_table: Part

    def files(self) -> tuple[Part, ...]:
        """Returns all listed files. The images are listed in the image table."""
        return (*self.parts, *self.rejects, self.image_table)


def manifest_of(snapshot: Snapshot, image_table: Part) -> Manifest:
    """Returns the manifest of a snapshot.

    Args:
        snapshot: The newest generation.
        image_table: images.parquet.
    """
    assert snapshot.made is not None
    return Manifest(
        format=FORMAT,
        generation=snapshot.number,
        command=snapshot.made.command,
        made_by=snapshot.made.made_by,
        inputs=Inputs(
            tuple(
                JsonInput(one.uri, one.size, one.version, one.records)
                for one in snapshot.ordered_shards()
            ),
            tuple(ImageInput(one.uri, one.size, one.version) for one in snapshot.ordered_sources()),
        ),
        configuration=snapshot.made.configuration,
        counts=snapshot.counts,
        parts=tuple(snapshot.parts()),
        rejects=tuple(snapshot.rejects()),
        image_table=image_table,
    )


def read(output: str) -> Manifest | None:
    """Returns the manifest of the dataset in an output folder, or None if there is none.

    Raises:
        ConfigError: This version cannot read the manifest.
    """
    uri = files.join(output, layout.MANIFEST)
    try:
        data = files.read_bytes(uri, is_json)
    except FileNotFoundError:
        return None
    try:
        format = msgspec.json.decode(data, type=_Format).format
        if format == FORMAT:
            return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ConfigError(
            [
                f"{uri}: this version of beam-mat cannot read this manifest ({error}); choose "
                "another folder"
            ]
        ) from error
    raise ConfigError(
        [
            f"{uri}: has layout version {format}, but this version of beam-mat uses {FORMAT}; use "
            "the version that wrote it, choose another folder, or start over with --overwrite"
        ]
    )


class _Format(msgspec.Struct):
    format: int
