"""Reads the rows of a part, even if a commit has moved it to ``replaced/``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow.parquet as pq

from beam_mat.core.results import Part
from beam_mat.core.settings import PARQUET
from beam_mat.storage import files
from beam_mat.storage.parts import location

_BATCH_ROWS = 256


class Row(msgspec.Struct, frozen=True):
    """A row without the bytes of its images; `images` are files below the output folder."""

    id: str
    system: str
    messages: Any
    images: tuple[str, ...]


def rows_of(output: str, part: Part) -> Iterator[Row]:
    """Yields the rows of a part."""
    uri = location(output, part.path)
    if part.format != PARQUET:
        decoder = msgspec.json.Decoder(Row)
        for line in files.read_bytes(uri).splitlines():
            yield decoder.decode(line)
        return
    columns = ["id", "system", "messages", "images.list.element.path"]
    with files.open_binary(uri) as file:
        for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=columns):
            for row in batch.to_pylist():
                images = tuple(image["path"] for image in row["images"])
                yield Row(row["id"], row["system"], row["messages"], images)


def images_of(output: str, part: Part) -> Iterator[str]:
    """Yields the image files that the rows of a part use."""
    uri = location(output, part.path)
    if part.format == PARQUET:
        with files.open_binary(uri) as file:
            for batch in pq.ParquetFile(file).iter_batches(columns=["images.list.element.path"]):
                for images in batch["images"].to_pylist():
                    yield from (image["path"] for image in images)
        return
    decoder = msgspec.json.Decoder(_Images)
    for line in files.read_bytes(uri).splitlines():
        yield from decoder.decode(line).images


class _Images(msgspec.Struct):
    images: list[str]
