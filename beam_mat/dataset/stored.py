"""Reads the JSON files of a dataset, which another version of this package may have written."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from beam_mat.core.errors import ConfigError
from beam_mat.core.settings import FORMAT
from beam_mat.storage import files
from beam_mat.work.results import is_json

T = TypeVar("T")


class _Format(msgspec.Struct):
    format: int = FORMAT


def read(uri: str, noun: str, kind: type[T]) -> T | None:
    """Returns the content of a file, or None if there is no file.

    Raises:
        ConfigError: The file cannot be decoded, or has another layout version. The message calls
            the file a `noun`.
    """
    cure = "use the version that wrote it, choose another folder, or start over with --overwrite"
    try:
        data = files.read_bytes(uri, is_json)
    except FileNotFoundError:
        return None
    try:
        format = msgspec.json.decode(data, type=_Format).format
        if format == FORMAT:
            return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        fault = f"this version of beam-mat cannot read this {noun} ({error})"
        raise ConfigError([f"{uri}: {fault}; {cure}"]) from error
    fault = f"has layout version {format}, but this version of beam-mat uses {FORMAT}"
    raise ConfigError([f"{uri}: {fault}; {cure}"])
