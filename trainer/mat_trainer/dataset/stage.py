"""Makes a dataset available on this machine, verified: in place if it is local, else staged.

A staged dataset is in the cache, in a folder named by the first digits of its manifest's digest,
laid out as at its source: LLaMA-Factory reads it with `dataset_dir` and `media_dir` set to that
folder. A chosen generation always has a folder there (`mat_trainer.dataset.view`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from mat_trainer.core import manifest as manifests
from mat_trainer.core.errors import ConfigError, PreflightError
from mat_trainer.core.manifest import Manifest
from mat_trainer.core.recipe import Data
from mat_trainer.core.subset import JSONL
from mat_trainer.dataset import entry as entry_files
from mat_trainer.dataset import images, view
from mat_trainer.dataset.cache import only_one, writable
from mat_trainer.dataset.choosing import Choice, choose
from mat_trainer.dataset.entry import REGISTRY, Entry, File, files, registry_faults
from mat_trainer.dataset.ledger import Ledger, path_of, write_whole
from mat_trainer.dataset.progress import Show, shown, silent
from mat_trainer.dataset.resolve import Resolved, resolve
from mat_trainer.dataset.source import Source
from mat_trainer.dataset.staging import fetch_missing
from mat_trainer.dataset.verify import strays, verify
from mat_trainer.dataset.view import View

ANY = Data()
"""What a recipe reads that trains on answers and names no entries."""


class StagedDataset(msgspec.Struct, frozen=True):
    """A dataset as LLaMA-Factory gets it.

    Attributes:
        uri: Its address, with the generation if one was chosen; for messages.
        path: The folder with dataset_info.json: `dataset_dir`.
        media_dir: The folder that JSONL's image paths are relative to.
        manifest: Its manifest; a filtered copy has that of the original.
        choice: The entries to train on and to evaluate on.
        digest: Every node of a run must have the same.
        lineage: The same for all generations of a dataset; empty if it is not known.
        generation: The number of the generation that the run stays on; None for a dataset that is
            used as its manifest shows it.
    """

    uri: str
    path: Path
    media_dir: Path
    manifest: Manifest
    choice: Choice
    digest: str
    lineage: str = ""
    generation: int | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries to train on, then those to evaluate on; each once."""
        return self.choice.entries

    @property
    def training(self) -> tuple[Entry, ...]:
        """The entries to train on."""
        return self.choice.training

    @property
    def name(self) -> str:
        """Their names, as LLaMA-Factory's setting `dataset` has them."""
        return ",".join(entry.name for entry in self.training)


def place(found: Resolved, cache: Path, data: Data = ANY) -> StagedDataset:
    """Says what `stage` would return for a resolved address. Writes nothing.

    Args:
        found: The dataset.
        cache: Folder for staged datasets.
        data: What the recipe reads.

    Raises:
        ConfigError: The dataset has no such entry, or none that fits the recipe's stage.
    """
    source, manifest, snapshot = found.source, found.manifest, found.snapshot
    choice = choose(manifest, data, remote=source.local is None)
    path = source.local or cache / manifest.digest[:16]
    if snapshot is not None:
        path = view.folder(cache, source, snapshot)
    number = snapshot.number if snapshot else None
    return StagedDataset(
        found.name, path, path, manifest, choice, manifest.digest, found.lineage, number
    )


def stage(
    uri: str,
    cache: Path,
    data: Data = ANY,
    *,
    show: Show = shown,
) -> StagedDataset:
    """Makes a dataset available here, verified.

    A local dataset is used in place and not written to; for a generation, links are made. If
    several processes on a node ask, one stages and the others wait for it.

    Args:
        uri: The dataset's folder, anywhere that fsspec reaches, and its generation: see `resolve`.
        cache: As in `place`; it also remembers which files were verified.
        data: As in `place`.
        show: Shows the progress.

    Raises:
        ConfigError: There is no such dataset, generation or entry; or the cache cannot be written.
        PreflightError: Files are missing, damaged or cannot be fetched, or there is not enough
            disk space; with every fault.
    """
    here = resolve(uri)
    source, snapshot = here.source, here.snapshot
    found = place(here, cache, data)
    ledger_path = path_of(cache, found.path, found.manifest)
    if snapshot is not None:
        ledger_path = view.ledger_path(cache, source)
    with writable(cache), only_one(ledger_path.with_suffix(".lock"), "stages this dataset"):
        if snapshot is not None:
            faults = View(here.uri, snapshot, found.entries, cache, show).make()
        elif source.local is None:
            faults = _fetch(here, found, cache, Ledger(ledger_path), show)
        else:
            faults = _verify(found, Ledger(ledger_path), show)
    if faults:
        raise PreflightError(*faults)
    return found


def _verify(found: StagedDataset, ledger: Ledger, show: Show) -> list[str]:
    faults = _registry_faults(found) + strays(found.path, found.entries)
    needed = files(found.entries)
    if any(entry.format == JSONL for entry in found.entries):
        table = _image_table(found)
        damaged = verify(found.path, [table], ledger, silent).sentences()
        faults += damaged
        needed += [] if damaged else images.usable([found.path / table.path])
    return faults + verify(found.path, needed, ledger, show).sentences()


def _registry_faults(found: StagedDataset) -> list[str]:
    path = found.path / REGISTRY
    try:
        return registry_faults(path.read_bytes(), found.entries)
    except OSError as error:
        return [f"{path}: {error.strerror}; restore it, or convert again"]


def _image_table(found: StagedDataset) -> File:
    table = found.manifest.image_table
    if table is None:
        raise ConfigError(f"{found.uri}: the manifest has no table of images; convert again")
    return File(table.path, table.bytes, table.sha256)


def _fetch(
    here: Resolved, found: StagedDataset, cache: Path, ledger: Ledger, show: Show
) -> list[str]:
    source = here.source
    partials = cache / f"{found.path.name}.partial"
    if _registry_faults(found):
        data = source.find(REGISTRY)
        if data is None:
            return [f"{source.uri}/{REGISTRY}: missing; restore it, or convert again"]
        if faults := registry_faults(data, found.entries):
            return faults
        write_whole(found.path / REGISTRY, _verified(data, found.manifest))
    if faults := strays(found.path, found.entries):
        return faults
    needed = files(found.entries)
    faults = []
    if any(entry.format == JSONL for entry in found.entries):
        table = _image_table(found)
        faults = fetch_missing(source, [table], found.path, partials, ledger, show)
        needed += [] if faults else images.usable([found.path / table.path])
    faults = faults or fetch_missing(source, needed, found.path, partials, ledger, show)
    if faults:
        if _changed(source, found.manifest):
            faults.insert(0, f"{source.uri}: was replaced while it was staged; run again")
        return faults
    write_whole(found.path / manifests.NAME, here.data)
    shutil.rmtree(partials, ignore_errors=True)
    return []


def _verified(data: bytes, manifest: Manifest) -> bytes:
    """The entries of a registry that fit the manifest, and nothing else that is in the file.

    Not only those of this run: others may train on the same folder.
    """
    read = msgspec.json.decode(data, type=dict[str, dict[str, object]])
    fit = {
        name: read[name]
        for name, entry in entry_files.entries(manifest).items()
        if name in read and not registry_faults(data, (entry,))
    }
    return msgspec.json.format(msgspec.json.encode(fit), indent=2) + b"\n"


def _changed(source: Source, manifest: Manifest) -> bool:
    try:
        return manifests.parse(source.find(manifests.NAME) or b"").digest != manifest.digest
    except ConfigError:
        return True
