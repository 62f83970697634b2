"""manifest.json: the inputs, the configuration and the files of a dataset.

It depends only on the newest generation, so it has no timestamp and no runner.
"""

from __future__ import annotations

from typing import Any

import msgspec

from beam_mat.core import layout
from beam_mat.core.results import Part
from beam_mat.core.settings import FORMAT
from beam_mat.dataset.commit import Snapshot, in_order
from beam_mat.storage import files
from beam_mat.work import results


class ImageInput(msgspec.Struct, frozen=True):
    """A zip or folder of images as it was converted; see `core.results.Source`."""

    uri: str
    size: int
    version: str


class JsonInput(ImageInput, frozen=True):
    """A shard as it was converted."""

    records: int


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
        """Returns all listed files. The images are listed in the image table, which is first."""
        return (self.image_table, *self.parts, *self.rejects)


def manifest_of(snapshot: Snapshot, image_table: Part) -> Manifest:
    """Returns the manifest of the newest generation. `image_table` is images.parquet."""
    made = snapshot.made
    assert made is not None
    inputs = {
        "json": in_order(snapshot.shards.values()),
        "images": in_order(snapshot.sources.values()),
    }
    return Manifest(
        format=FORMAT,
        generation=snapshot.number,
        command=made.command,
        made_by=made.made_by,
        inputs=msgspec.convert(inputs, Inputs, from_attributes=True),
        configuration=made.configuration,
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
    return results.read_stored(files.join(output, layout.MANIFEST), "manifest", Manifest)
