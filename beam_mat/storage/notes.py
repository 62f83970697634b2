"""Notes that units of work leave in the work folder, one small file each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from beam_mat.core import layout
from beam_mat.core.settings import Settings
from beam_mat.storage import files

T = TypeVar("T", bound=msgspec.Struct)


def leave(settings: Settings, folder: str, name: str, note: msgspec.Struct) -> None:
    """Writes a note. `folder` is one of `beam_mat.core.layout`."""
    files.write_bytes(
        files.join(settings.output, folder, f"{name}.json"),
        msgspec.json.encode(note),
        files.join(settings.output, layout.SCRATCH),
    )


def collect(settings: Settings, folder: str, kind: type[T]) -> Iterator[T]:
    """Reads all notes of a folder, by name."""
    decoder = msgspec.json.Decoder(kind)
    for _, file in files.find(files.join(settings.output, folder)):
        yield decoder.decode(files.read_bytes(file.uri))
