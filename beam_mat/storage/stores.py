"""Finds the store of a URI. Storage options say how the stores are reached.

No other module asks for the kind of a store.
"""

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

from beam_mat.core.credentials import credential_in, without_credentials
from beam_mat.core.errors import StoreError
from beam_mat.storage.drivers import driver
from beam_mat.storage.local_store import LocalStore
from beam_mat.storage.remote_store import SEND_PIECE, HubStore, MemoryStore, RemoteStore
from beam_mat.storage.store import Store

DRIVERS = {
    "gs": ("gcsfs", "gcp"),
    "gcs": ("gcsfs", "gcp"),
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "hf": ("huggingface_hub", "hf"),
}
"""For each protocol the package with its driver, and the extra of beam-mat that installs it."""

_ONE_FOR_ALL = frozenset({*DRIVERS, "file", "http", "https", "local", "memory"})
"""Schemes with one file system for every address. Others take a host from the address.

No character in one of these addresses is an option of the file system (`storage.drivers`).
"""

_LOCAL = LocalStore()


class _Known(threading.local):
    """The stores that a thread has used: fsspec makes some file systems for one thread only."""

    def __init__(self) -> None:
        self.stores: dict[Any, Store] = {}  # by scheme, and by file system


_known = _Known()


def locate(uri: str) -> tuple[Store, str]:
    """The store of a URI, and the path in it.

    A thread looks a scheme up once: fsspec takes longer for this than a local file system takes to
    open a file. Raises a StoreError if a driver is not installed, and a ValueError if there is no
    such protocol.
    """
    if uri.startswith("/"):
        return _LOCAL, uri.rstrip("/") or "/"
    if ":" not in uri:
        return _LOCAL, _LOCAL.path_of(uri)
    scheme, sign, _ = uri.partition("://")
    known = _known.stores  # another thread may replace it
    if not sign or scheme not in _ONE_FOR_ALL:
        return _look_up(uri, known)
    store = known.get(scheme)
    if store is None:
        fs = _driver(scheme, uri)
        store = known[scheme] = known.setdefault(fs, _store(fs))
    return store, store.path_of(uri)


def forget() -> None:
    """Makes every thread look its stores up again, after a change of storage options or a fork."""
    global _known  # noqa: PLW0603
    _known = _Known()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)  # a driver's threads do not survive a fork


def _driver(scheme: str, uri: str) -> Any:
    if scheme in ("gs", "gcs"):
        _keep_off_real_gcs()
    try:
        return driver(scheme)
    except ImportError as error:
        raise StoreError(f"{without_credentials(uri)}: {_missing(uri, error)}") from error


def _look_up(uri: str, known: dict[Any, Store]) -> tuple[Store, str]:
    """Finds the store of an address that has options of its file system, or joins several."""
    try:
        fs, path = url_to_fs(uri)
    except ImportError as error:
        raise StoreError(f"{without_credentials(uri)}: {_missing(uri, error)}") from error
    if fs not in known:
        known[fs] = _store(fs)
    return known[fs], str(path)


def _store(fs: Any) -> Store:
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
    if isinstance(fs, LocalFileSystem):
        return _LOCAL
    if isinstance(fs, MemoryFileSystem):
        return MemoryStore(fs)
    if "hf" in protocols:
        return HubStore(fs)
    # The drivers send pieces of 50 MB, and the one for S3 holds ten of them at once.
    if "gs" in protocols:
        return RemoteStore(fs, {"chunksize": SEND_PIECE})
    if "s3" in protocols:
        return RemoteStore(fs, {"chunksize": SEND_PIECE, "max_concurrency": 2})
    return RemoteStore(fs)


def _missing(uri: str, error: ImportError) -> str:
    protocols = [split_protocol(link)[0] or "" for link in uri.split("::")]
    for protocol in protocols:
        if protocol in DRIVERS:
            _, extra = DRIVERS[protocol]
            return f"{protocol}:// needs a driver: pip install 'beam-mat[{extra}]'"
    return f"{'::'.join(protocols)} needs a driver: {error}"


def _keep_off_real_gcs() -> None:
    # With an emulator, gcsfs would ask Google for the kind of each bucket and wait a minute for the
    # answer. It reads this variable when it is imported.
    endpoints = [os.environ.get("STORAGE_EMULATOR_HOST", "")]
    endpoints += [str(config.conf.get(name, {}).get("endpoint_url", "")) for name in ("gs", "gcs")]
    if any(endpoint and not endpoint.startswith("https://") for endpoint in endpoints):
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")


def fault_of(uri: str) -> str | None:
    """Why a URI cannot be used, found without a request to its store; None if it can be used."""
    try:
        uri.encode()
    except UnicodeEncodeError:  # manifests are UTF-8, and could not list it
        return "the name is not UTF-8; rename the file"
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


# Storage options

Options = Mapping[str, Mapping[str, Any]]
"""Arguments of file systems by protocol, as in fsspec's own configuration."""

_untouched = copy.deepcopy(config.conf)
_variables: dict[str, str | None] = {}
"""Environment variables that `use` has set, with their values before."""

_changing = threading.Lock()


def parse(text: str) -> dict[str, dict[str, Any]]:
    """Reads storage options from a JSON object, or from a file that contains one.

    Raises a ValueError if they are invalid. Its text repeats none of their values.
    """
    data = text.encode()
    if not is_inline(text):
        try:
            store, path = locate(text)
            data = store.read_bytes(path)
        except (OSError, StoreError) as error:
            raise ValueError(
                f"{text} cannot be read ({error}); pass a JSON object or a file that contains one"
            ) from error
    try:
        options = msgspec.json.decode(data, type=dict[str, dict[str, Any]])
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{error}; pass a JSON object with an entry for each protocol, such as "
            '{"gs": {"token": "anon"}}'
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

    Raises a StoreError if the file with the options cannot be read here.
    """
    if not text:
        return
    try:
        use(parse(text))
    except ValueError as error:
        raise StoreError(
            f"--storage-options: {error}; put the file where all workers can read it"
        ) from error
