"""Storage options: how the stores are reached, for this process and those that it starts."""

from __future__ import annotations

import copy
import functools
import json
import os
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
from fsspec import config
from fsspec.registry import available_protocols

from beam_mat.core.credentials import credential_in
from beam_mat.core.errors import StoreError
from beam_mat.storage.locate import forget, locate

Options = Mapping[str, Mapping[str, Any]]
"""Arguments of file systems by protocol, as in fsspec's own configuration."""

_untouched = copy.deepcopy(config.conf)
_variables: dict[str, str | None] = {}
"""Environment variables that `use` has set, with their values before."""

_changing = threading.Lock()


def fault_of(uri: str) -> str | None:
    """Why a URI cannot be used, found without a request to its store; None if it can be used."""
    if found := credential_in(uri):
        return (
            f"contains {found}, and addresses are written to the manifest; pass credentials in "
            "the environment or in a file for --storage-options"
        )
    try:
        locate(uri)
    except StoreError as error:
        return str(error).removeprefix(f"{uri}: ")
    except ValueError as error:  # an unknown protocol
        return f"{error}; use a path, or a gs://, s3://, hf:// or other address that fsspec knows"
    return None


def parse(text: str) -> dict[str, dict[str, Any]]:
    """Reads storage options from a JSON object, or from a file that contains one.

    Raises:
        ValueError: They are invalid; the text repeats none of their values.
    """
    data = text.encode() if is_inline(text) else _read(text)
    try:
        options = msgspec.json.decode(data, type=dict[str, dict[str, Any]])
    except msgspec.DecodeError as error:
        raise ValueError(
            f'{error}; pass an object by protocol, such as {{"gs": {{"token": "anon"}}}}'
        ) from None
    known = available_protocols()
    for protocol in options:
        if protocol not in known:
            raise ValueError(f"{protocol!r} is not a protocol; use gs, s3, hf or another of fsspec")
    return options


def is_inline(text: str) -> bool:
    """Whether a text is storage options, and not the name of a file with them."""
    # A name with a brace in it is more likely a broken object, whose secrets must not be shown.
    return "{" in text


def _read(name: str) -> bytes:
    try:
        store, path = locate(name)
        return store.read_bytes(path)
    except (OSError, StoreError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from error


def use(options: Options) -> None:
    """Applies storage options, in this process and in those that it starts from now on.

    They replace those of an earlier call, and override fsspec's own configuration.
    """
    with _changing:
        config.conf.clear()
        config.conf.update(copy.deepcopy(_untouched))
        while _variables:
            name, before = _variables.popitem()
            os.environ.pop(name)
            os.environ.update({} if before is None else {name: before})
        for protocol, given in options.items():
            config.conf.setdefault(protocol, {}).update(given)
            # fsspec reads this when it is imported. Unlike a command line, an environment is
            # visible to this user only.
            name = f"FSSPEC_{protocol.upper()}"
            _variables[name] = os.environ.get(name)
            os.environ[name] = json.dumps(config.conf[protocol])
        forget()


@functools.cache
def use_in_worker(text: str) -> None:
    """Applies the options of the driver: see `beam_mat.core.settings.Settings.storage`.

    Raises:
        StoreError: The file with the options cannot be read here.
    """
    if not text:
        return
    try:
        use(parse(text))
    except ValueError as error:
        raise StoreError(
            f"--storage-options: {error}; put the file where all workers can read it"
        ) from error
