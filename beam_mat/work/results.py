"""Reads and writes work results: small JSON files below ``_beam_mat/``; see `core.results`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from beam_mat.core import layout
from beam_mat.core.settings import Settings
from beam_mat.storage import files

T = TypeVar("T", bound=msgspec.Struct)


def place(settings: Settings, folder: str, name: str) -> str:
    """Returns a result's URI. `folder` is a constant of `core.layout`."""
    return files.join(settings.output, folder, f"{name}.json")


def write(settings: Settings, folder: str, name: str, result: msgspec.Struct) -> None:
    """Writes a result."""
    files.write_bytes(
        place(settings, folder, name),
        msgspec.json.encode(result),
        files.join(settings.output, layout.SCRATCH),
    )


def is_json(_uri: str, data: bytes) -> bool:
    """Returns whether the data is one complete JSON value, so that it was not cut off."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def find(settings: Settings, folder: str, name: str, kind: type[T]) -> T | None:
    """Returns the result of this name, or None.

    A result that cannot be decoded is from another version of this package. It counts as missing,
    so its work is done again.
    """
    if not settings.resume:
        return None
    try:
        data = files.read_bytes(place(settings, folder, name), is_json)
        return msgspec.json.decode(data, type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def read(settings: Settings, folder: str, names: Iterable[str], kind: type[T]) -> Iterator[T]:
    """Yields the results of these names, in order.

    Raises:
        FileNotFoundError: A result does not exist; the message has its URI.
    """
    decoder = msgspec.json.Decoder(kind)
    uris = (place(settings, folder, name) for name in names)
    for data in files.read_each(uris, is_json):
        yield decoder.decode(data)


def collect(settings: Settings, folder: str, kind: type[T]) -> Iterator[T]:
    """Yields all results of a folder, ordered by name."""
    decoder = msgspec.json.Decoder(kind)
    found = files.find(files.join(settings.output, folder))
    for data in files.read_each((file.uri for _, file in found), is_json):
        yield decoder.decode(data)
