"""Finds the store of a URI. No other module asks for the kind of a store."""

from __future__ import annotations

import os
import threading
from typing import Any

from fsspec import config
from fsspec.core import split_protocol, url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from beam_mat.core.credentials import without_credentials
from beam_mat.core.errors import StoreError
from beam_mat.storage.far_store import FarStore
from beam_mat.storage.hub_store import HubStore
from beam_mat.storage.local_store import LocalStore
from beam_mat.storage.memory_store import MemoryStore
from beam_mat.storage.store import Store
from beam_mat.storage.uploads import PIECE_BYTES

_EXTRAS = {"gs": "gcp", "gcs": "gcp", "s3": "s3", "s3a": "s3", "hf": "hf"}
"""Protocols whose driver comes with an extra of this package."""

_ONE_FOR_ALL = frozenset({*_EXTRAS, "file", "local", "memory"})
"""Schemes with one file system for every address. Others take a host from the address."""

_LOCAL = LocalStore()


class _Known:
    """The stores that a thread has used: fsspec makes some file systems for one thread only.

    Attributes:
        age: The value of `_age` when this was made.
    """

    def __init__(self) -> None:
        self.age = _age
        self.by_scheme: dict[str, Store] = {}
        self.by_system: dict[Any, Store] = {}


_age = 0
"""Counts changes of storage options, and forks. No store that was found before is valid after."""

_threads = threading.local()


def locate(uri: str) -> tuple[Store, str]:
    """The store of a URI, and the path in it.

    A thread looks a scheme up once: fsspec takes longer for this than a local file system takes to
    open a file.

    Raises:
        StoreError: The store's driver is not installed.
        ValueError: There is no such protocol.
    """
    if uri.startswith("/"):
        return _LOCAL, uri.rstrip("/") or "/"
    scheme, sign, rest = uri.partition("://")
    # What follows ? or # may be an option of the file system; :: joins several file systems.
    plain = sign and scheme in _ONE_FOR_ALL and not any(mark in rest for mark in ("::", "?", "#"))
    known = _known()
    if plain and (store := known.by_scheme.get(scheme)):
        return store, store.path_of(uri)
    store, path = _look_up(uri, known)
    if plain:
        known.by_scheme[scheme] = store
    return store, path


def forget() -> None:
    """Makes every thread look its stores up again."""
    global _age  # noqa: PLW0603
    _age += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)  # a driver's threads do not survive a fork


def _known() -> _Known:
    known: _Known | None = getattr(_threads, "known", None)
    if known is None or known.age != _age:
        known = _threads.known = _Known()
    return known


def _look_up(uri: str, known: _Known) -> tuple[Store, str]:
    if uri.startswith(("gs://", "gcs://")):
        _keep_off_real_gcs()
    try:
        fs, path = url_to_fs(uri)
    except ImportError as error:
        raise StoreError(f"{without_credentials(uri)}: {_missing(uri, error)}") from error
    store = known.by_system.get(fs)
    if store is None:
        store = known.by_system[fs] = _store(fs)
    return store, str(path)


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
        return FarStore(fs, {"chunksize": PIECE_BYTES})
    if "s3" in protocols:
        return FarStore(fs, {"chunksize": PIECE_BYTES, "max_concurrency": 2})
    return FarStore(fs)


def _missing(uri: str, error: ImportError) -> str:
    protocols = [split_protocol(link)[0] or "" for link in uri.split("::")]
    for protocol in protocols:
        if protocol in _EXTRAS:
            extra = _EXTRAS[protocol]
            return f"{protocol}:// needs a driver: pip install 'beam-mat[{extra}]'"
    return f"{'::'.join(protocols)} needs a driver: {error}"


def _keep_off_real_gcs() -> None:
    # With an emulator, gcsfs would ask Google for the kind of each bucket and wait a minute for the
    # answer. It reads this variable when it is imported.
    endpoints = [os.environ.get("STORAGE_EMULATOR_HOST", "")]
    endpoints += [str(config.conf.get(name, {}).get("endpoint_url", "")) for name in ("gs", "gcs")]
    if any(endpoint and not endpoint.startswith("https://") for endpoint in endpoints):
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
