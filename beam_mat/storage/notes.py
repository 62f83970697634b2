"""Notes that units of work leave in the work folder, one small file each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from beam_mat.core import layout
from beam_mat.core.settings import Settings
from beam_mat.storage import files

T = TypeVar("T", bound=msgspec.Struct)


def place(settings: Settings, folder: str, name: str) -> str:
    """A note's uri. `folder` is one of `beam_mat.core.layout`."""
    return files.join(settings.output, folder, f"{name}.json")


def leave(settings: Settings, folder: str, name: str, note: msgspec.Struct) -> None:
    """Writes a note."""
    files.write_bytes(
        place(settings, folder, name),
        msgspec.json.encode(note),
        files.join(settings.output, layout.SCRATCH),
    )


def is_json(_uri: str, data: bytes) -> bool:
    """Whether data is a JSON value to its end, which no object that was cut off is."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def earlier(settings: Settings, folder: str, name: str, kind: type[T]) -> T | None:
    """The note that an earlier run left, or None.

    A note that cannot be understood is none: another version of this package wrote it, and the unit
    of work is done again.
    """
    if not settings.again:
        return None
    try:
        data = files.read_bytes(place(settings, folder, name), is_json)
        return msgspec.json.decode(data, type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def read(settings: Settings, folder: str, names: Iterable[str], kind: type[T]) -> Iterator[T]:
    """Reads the notes of these names, in order.

    Raises:
        FileNotFoundError: One is not there; its name is in the text.
    """
    decoder = msgspec.json.Decoder(kind)
    uris = (place(settings, folder, name) for name in names)
    for data in files.read_each(uris, is_json):
        yield decoder.decode(data)


def collect(settings: Settings, folder: str, kind: type[T]) -> Iterator[T]:
    """Reads all notes of a folder, by name."""
    decoder = msgspec.json.Decoder(kind)
    found = files.find(files.join(settings.output, folder))
    for data in files.read_each((file.uri for _, file in found), is_json):
        yield decoder.decode(data)


def withdraw(settings: Settings, folder: str, name: str) -> None:
    """Removes a note, before what it tells of is written over."""
    files.remove_file(place(settings, folder, name))
