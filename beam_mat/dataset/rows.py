"""Reads the rows of a part, even if a commit has moved it to ``replaced/``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
import pyarrow.parquet as pq

from beam_mat.core.results import Part
from beam_mat.core.settings import PARQUET
from beam_mat.storage import files
from beam_mat.storage.parts import location

_BATCH_ROWS = 256


class _Images(msgspec.Struct, frozen=True):
    images: tuple[str, ...]


class Row(_Images, frozen=True):
    """A row without the bytes of its images; `images` are files below the output folder."""

    id: str
    system: str
    messages: Any


Kind = TypeVar("Kind", bound=_Images)


def rows_of(output: str, part: Part) -> Iterator[Row]:
    """Yields the rows of a part."""
    return _read(output, part, Row)


def images_of(output: str, part: Part) -> Iterator[str]:
    """Yields the image files that the rows of a part use."""
    for row in _read(output, part, _Images):
        yield from row.images


def _read(output: str, part: Part, kind: type[Kind]) -> Iterator[Kind]:
    uri = location(output, part.path)
    if part.format != PARQUET:
        decoder = msgspec.json.Decoder(kind)
        yield from map(decoder.decode, files.read_bytes(uri).splitlines())
        return
    others = [name for name in kind.__struct_fields__ if name != "images"]
    with files.open_binary(uri) as file:
        batches = pq.ParquetFile(file).iter_batches(
            _BATCH_ROWS, columns=["images.list.element.path", *others]
        )
        for batch in batches:
            for row in batch.to_pylist():
                paths = tuple(image["path"] for image in row.pop("images"))
                yield kind(images=paths, **row)
