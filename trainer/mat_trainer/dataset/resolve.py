"""Finds out what an address means: a finished dataset, or one generation of a watched one."""

from __future__ import annotations

import msgspec

from mat_trainer.core import address as addresses
from mat_trainer.core import manifest as manifests
from mat_trainer.core.address import Address
from mat_trainer.core.errors import ConfigError, UnreachableError
from mat_trainer.core.generation import Whole
from mat_trainer.core.manifest import Manifest
from mat_trainer.dataset import generations
from mat_trainer.dataset.manifest import read_bytes
from mat_trainer.dataset.source import Source


class Resolved(msgspec.Struct, frozen=True):
    """What an address means now.

    Attributes:
        address: That means the same at any later time: with the generation, if there is one. It
            may hold a password, and is not for messages.
        uri: The dataset's folder, as one gives it to fsspec.
        source: The same, opened.
        manifest: What the dataset is.
        data: manifest.json as it is; empty for a generation.
        whole: The generation; None for a dataset without.
        is_newest: Whether no generation was named and it is the newest one therefore.
    """

    address: str
    uri: str
    source: Source
    manifest: Manifest
    data: bytes
    whole: Whole | None
    is_newest: bool

    @property
    def name(self) -> str:
        """For messages."""
        if self.whole is None:
            return self.source.uri
        return addresses.at(self.source.uri, self.whole.number)


def resolve(text: str) -> Resolved:
    """Reads the manifest, or the generation, that an address means.

    Args:
        text: `URI@42`, `URI@latest`, or a URI alone, which means its newest generation, or what its
            manifest says where it has none.

    Raises:
        ConfigError: There is no such generation, or what stands behind the ``@`` is none.
        UnreachableError: There is no dataset, or it cannot be reached.
    """
    found = address(text)
    source = Source(found.uri)
    number = found.generation
    data = b""
    if number is None:
        data, number = _newest(source)
    if not number:
        manifest = manifests.parse(data)
        return Resolved(found.uri, found.uri, source, manifest, data, None, is_newest=True)
    whole = generations.read(source, number)
    named = addresses.at(found.uri, number)
    is_newest = found.generation is None
    return Resolved(named, found.uri, source, whole.manifest, b"", whole, is_newest)


def address(text: str) -> Address:
    """Splits what was typed. A folder that has an ``@`` in its name is that folder."""
    found = addresses.split(text)
    if found.word is None or addresses.in_authority(found.uri):
        return found
    return Address(text) if _is_dataset(text) else found


def _is_dataset(uri: str) -> bool:
    source = Source(uri)
    if source.local is not None:
        return source.local.is_dir()
    try:
        return source.has(manifests.NAME)
    except Exception:  # noqa: BLE001 what is wrong with the store is told when the dataset is read
        return False


def _newest(source: Source) -> tuple[bytes, int]:
    """The manifest, if there is one yet, and the number of the newest generation, or 0."""
    try:
        data = read_bytes(source)
    except UnreachableError as error:
        # The first generation may be there before the manifest.
        try:
            number = generations.newest(source)
        except ConfigError:
            number = 0
        if not number:
            raise error from None
        return b"", number
    return data, generations.newest(source, manifests.parse(data).generation or 0)
