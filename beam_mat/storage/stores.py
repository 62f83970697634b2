"""Where files lie: which file system a URI means, how it is reached, what it can do."""

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
from fsspec.core import split_protocol, url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import available_protocols

from beam_mat.core.errors import StoreError
from beam_mat.core.secrecy import credential_in, without_credentials

_EXTRAS = {"gs": "gcp", "gcs": "gcp", "s3": "s3", "s3a": "s3", "hf": "hf"}
"""Protocols that come with an extra of this package."""

Options = Mapping[str, Mapping[str, Any]]
"""Arguments of file systems by protocol, as fsspec's own configuration has them."""

_untouched = copy.deepcopy(config.conf)
_variables: dict[str, str | None] = {}
"""Environment variables that `use` set, with what they were before."""

_changing = threading.Lock()


def locate(uri: str) -> tuple[Any, str]:
    """The file system that a URI means, and the path in it.

    Raises:
        StoreError: Its driver is not installed here, or there is none.
    """
    if uri.startswith(("gs://", "gcs://")):
        _keep_off_real_gcs()
    try:
        fs, path = url_to_fs(uri)
    except ImportError as error:
        raise StoreError(f"{without_credentials(uri)}: {_missing(uri, error)}") from error
    return fs, str(path)


def is_near(fs: Any) -> bool:
    """Whether a file system answers at once and never in part: no network lies between."""
    return isinstance(fs, LocalFileSystem | MemoryFileSystem)


def is_hub(fs: Any) -> bool:
    """Whether a file system is Hugging Face's hub, which is read only to us."""
    return "hf" in _protocols(fs)


def piece_options(fs: Any, size: int) -> dict[str, int]:
    """Arguments of `put_file` that bound its memory, where the driver's own bound is 50 MB a piece.

    Args:
        fs: The file system.
        size: Bytes of a piece; a multiple of 256 KiB and at least 5 MiB.
    """
    known = _protocols(fs)
    if "gs" in known:
        return {"chunksize": size}
    return {"chunksize": size, "max_concurrency": 2} if "s3" in known else {}


def range_options(fs: Any, end: int) -> dict[str, Any]:
    """Arguments of `cat_file` that keep it from reading beyond `end`."""
    # The hub's file reads megabytes ahead, and asks for the size first where it is not told one.
    return {"cache_type": "none", "size": end} if is_hub(fs) else {}


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def fault_of(uri: str) -> str | None:
    """Why a URI cannot be used at all, told without asking its store; None if it can."""
    if found := credential_in(uri):
        return (
            f"holds {found}, and addresses are kept in the manifest; give credentials by "
            "environment or by a file for --storage-options"
        )
    try:
        locate(uri)
    except StoreError as error:
        return str(error).removeprefix(f"{uri}: ")
    except ValueError as error:  # an unknown protocol
        return f"{error}; give a path, or gs://, s3://, hf:// or another address of fsspec's"
    return None


def _missing(uri: str, error: ImportError) -> str:
    protocols = [split_protocol(link)[0] or "" for link in uri.split("::")]
    for protocol in protocols:
        if protocol in _EXTRAS:
            extra = _EXTRAS[protocol]
            return f"{protocol}:// needs a driver: pip install 'beam-mat[{extra}]'"
    return f"{'::'.join(protocols)} needs a driver: {error}"


def parse(text: str) -> dict[str, dict[str, Any]]:
    """Storage options out of what a user typed: a JSON object, or the name of a file with one.

    Raises:
        ValueError: They are not as they should be; the text repeats no value of them.
    """
    data = text.encode() if is_inline(text) else _read(text)
    try:
        options = msgspec.json.decode(data, type=dict[str, dict[str, Any]])
    except msgspec.DecodeError as error:
        raise ValueError(
            f'{error}; give an object by protocol, such as {{"gs": {{"token": "anon"}}}}'
        ) from None
    known = available_protocols()
    for protocol in options:
        if protocol not in known:
            raise ValueError(f"{protocol!r} is no protocol; give gs, s3, hf or another of fsspec")
    return options


def is_inline(text: str) -> bool:
    """Whether storage options were typed themselves rather than the name of their file."""
    # A name with a brace in it is more likely an object gone wrong, and must not be told.
    return "{" in text


def _read(name: str) -> bytes:
    try:
        fs, path = locate(name)
        data: bytes = fs.cat_file(path)
    except (OSError, StoreError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from error
    return data


def use(options: Options) -> None:
    """Takes storage options into use, in this process and those that it will start.

    They take the place of what an earlier call gave, and go before fsspec's own configuration.
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
            # fsspec reads this when it is imported. Unlike a command line, an environment can be
            # read by this user alone.
            name = f"FSSPEC_{protocol.upper()}"
            _variables[name] = os.environ.get(name)
            os.environ[name] = json.dumps(config.conf[protocol])


@functools.cache
def use_in_worker(text: str) -> None:
    """Takes into use what the driver let travel: see `beam_mat.core.settings.Settings.storage`.

    Raises:
        StoreError: The options' file cannot be read here.
    """
    if not text:
        return
    try:
        use(parse(text))
    except ValueError as error:
        raise StoreError(
            f"--storage-options: {error}; put the file where every worker can read it"
        ) from error


def _keep_off_real_gcs() -> None:
    # Against an emulator gcsfs would ask Google for each bucket's kind, and wait a minute for it.
    # It looks when it is imported.
    endpoints = [os.environ.get("STORAGE_EMULATOR_HOST", "")]
    endpoints += [str(config.conf.get(name, {}).get("endpoint_url", "")) for name in ("gs", "gcs")]
    if any(endpoint and not endpoint.startswith("https://") for endpoint in endpoints):
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
