"""Finds out what an address means: a dataset as its manifest shows it, or one generation."""

from __future__ import annotations

import msgspec

from mat_trainer.core import address as addresses
from mat_trainer.core import manifest as manifests
from mat_trainer.core.address import Address
from mat_trainer.core.errors import UnreachableError
from mat_trainer.core.generation import Snapshot
from mat_trainer.core.manifest import Manifest
from mat_trainer.core.pin import Pin
from mat_trainer.dataset import generations
from mat_trainer.dataset.source import Source


class Resolved(msgspec.Struct, frozen=True):
    """What an address means now.

    Attributes:
        address: Means the same later: with the generation, for a snapshot. It may hold a
            password, so it is not for messages.
        uri: The dataset's folder, as fsspec takes it.
        source: The same, opened.
        manifest: The dataset's content.
        data: The bytes of manifest.json; empty for a snapshot.
        snapshot: The generation; None if the dataset is used as its manifest shows it.
        lineage: The same for all generations of a dataset; empty if it is not known.
        is_newest: Whether no generation was named, so that this is the newest.
    """

    address: str
    uri: str
    source: Source
    manifest: Manifest
    data: bytes
    snapshot: Snapshot | None
    lineage: str
    is_newest: bool

    @property
    def name(self) -> str:
        """The address, for messages."""
        if self.snapshot is None:
            return self.source.uri
        return addresses.at(self.source.uri, self.snapshot.number)

    @property
    def pin(self) -> Pin:
        """What a run remembers of the dataset."""
        return Pin(self.name, self.manifest.digest, self.manifest.generation, self.lineage)


def resolve(text: str) -> Resolved:
    """Reads the manifest or the generation that an address means.

    Args:
        text: `URI@42`, `URI@latest` or `URI`. The latter two mean the newest generation of a
            dataset that `beam-mat watch` changes, and else what the manifest shows.

    Raises:
        ConfigError: The generation does not exist, or the text after ``@`` is not a number.
        UnreachableError: There is no dataset, or it cannot be reached.
    """
    found = address(text)
    source = Source(found.uri)
    number = found.generation
    if number is None:
        data = source.find(manifests.NAME)
        manifest = manifests.parse(data) if data is not None else None
        if data is not None and manifest and manifest.command != manifests.WATCH:
            lineage = generations.lineage(source, manifest.generation)
            return Resolved(found.uri, found.uri, source, manifest, data, None, lineage, True)
        # The first generation may exist before the manifest does.
        number = generations.newest(source, manifest.generation if manifest else 0)
        if not number:
            raise UnreachableError(
                f"{source.uri}: no {manifests.NAME} here, so this is not a finished dataset of "
                "beam-mat; check the address, or make one: beam-mat convert --json … --images … "
                f"--output {source.uri}"
            )
    snapshot = generations.read(source, number)
    named = addresses.at(found.uri, number)
    is_newest = found.generation is None
    return Resolved(
        named, found.uri, source, snapshot.manifest, b"", snapshot, snapshot.lineage, is_newest
    )


def address(text: str) -> Address:
    """Splits an address. A folder that has an ``@`` in its name is that folder."""
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
    except UnreachableError:  # reported when the dataset is read
        return False
