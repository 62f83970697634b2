"""Reads and writes work results: small JSON files below ``_beam_mat/``; see `core.results`.

The folder of a result is a constant of `core.layout`. Also reads the other JSON files of a dataset,
which another version of this package may have written.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.settings import FORMAT, Settings
from beam_mat.storage import files

T = TypeVar("T", bound=msgspec.Struct)


def place(settings: Settings, folder: str, name: str) -> str:
    """Returns a result's URI."""
    return files.join(settings.output, folder, f"{name}.json")


def write(settings: Settings, folder: str, name: str, result: msgspec.Struct) -> None:
    """Writes a result."""
    scratch = files.join(settings.output, layout.SCRATCH)
    files.write_bytes(place(settings, folder, name), msgspec.json.encode(result), scratch)


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

    Raises FileNotFoundError if a result does not exist; the message has its URI.
    """
    return _read((place(settings, folder, name) for name in names), kind)


def collect(settings: Settings, folder: str, kind: type[T]) -> Iterator[T]:
    """Yields all results of a folder, ordered by name."""
    found = files.find(files.join(settings.output, folder))
    return _read((file.uri for _, file in found), kind)


class _Format(msgspec.Struct):
    format: int = FORMAT


def read_stored(uri: str, noun: str, kind: type[T]) -> T | None:
    """Returns the content of a file, which messages call a `noun`, or None if there is no file.

    Raises ConfigError if the file cannot be decoded, or has another layout version.
    """
    try:
        data = files.read_bytes(uri, is_json)
    except FileNotFoundError:
        return None
    try:
        format = msgspec.json.decode(data, type=_Format).format
        if format == FORMAT:
            return msgspec.json.decode(data, type=kind)
        fault = f"has layout version {format}, but this version of beam-mat uses {FORMAT}"
    except msgspec.DecodeError as error:
        fault = f"this version of beam-mat cannot read this {noun}, or it is damaged ({error})"
    start_over = "start over with beam-mat convert --overwrite"
    cure = f"use the version that wrote it, choose another folder, or {start_over}"
    raise ConfigError([f"{uri}: {fault}; {cure}"])


def _read(uris: Iterable[str], kind: type[T]) -> Iterator[T]:
    decoder = msgspec.json.Decoder(kind)
    for data in files.read_each(uris, is_json):
        yield decoder.decode(data)
