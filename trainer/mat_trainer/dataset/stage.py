"""Makes a dataset available on this machine, verified: in place when it is here, else staged.

A staged dataset lies in the cache below the first digits of its manifest's digest, laid out as at
its source, so that LLaMA-Factory reads it with `dataset_dir` and `media_dir` set to that folder. A
generation of a watched dataset has a folder there in any case (`mat_trainer.dataset.view`).
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

import msgspec

from mat_trainer.core import manifest as manifests
from mat_trainer.core.errors import ConfigError, PreflightError
from mat_trainer.core.manifest import Manifest
from mat_trainer.dataset import images, lock, view
from mat_trainer.dataset.cache import writable
from mat_trainer.dataset.entry import JSONL, REGISTRY, Entry, File, choose, files, registry_faults
from mat_trainer.dataset.ledger import Ledger, path_of, write_whole
from mat_trainer.dataset.manifest import read_bytes
from mat_trainer.dataset.progress import Show, shown, silent
from mat_trainer.dataset.resolve import Resolved, resolve
from mat_trainer.dataset.source import Source, told
from mat_trainer.dataset.staging import fetch_missing
from mat_trainer.dataset.verify import strays, verify
from mat_trainer.dataset.view import View


class StagedDataset(msgspec.Struct, frozen=True):
    """A dataset as LLaMA-Factory is told of it.

    Attributes:
        uri: Where it comes from, with its generation if it has one; for messages.
        path: The folder with dataset_info.json: `dataset_dir`.
        media_dir: The folder that JSONL's image paths are relative to.
        manifest: Its manifest; a filtered copy has that of the original.
        entries: The one to train on, then the one to evaluate on if there is one.
        digest: What every node of a run must agree on.
        lineage: The same for all generations of one dataset; empty where it has none.
    """

    uri: str
    path: Path
    media_dir: Path
    manifest: Manifest
    entries: tuple[Entry, ...]
    digest: str
    lineage: str = ""

    @property
    def entry(self) -> Entry:
        """The entry to train on."""
        return self.entries[0]

    @property
    def generation(self) -> int | None:
        """The number of its generation, if it has one."""
        return self.manifest.generation if self.lineage else None


def locate(
    uri: str, cache: Path, dataset: str | None = None, evaluation: str | None = None
) -> StagedDataset:
    """Says what `stage` would give, reading the manifest or generation alone. Writes nothing.

    Args:
        uri: The dataset's folder, anywhere that fsspec reaches, and its generation: see `resolve`.
        cache: Folder for staged datasets.
        dataset: The recipe's setting `dataset`; None leaves the choice.
        evaluation: The recipe's setting `eval_dataset`.

    Raises:
        ConfigError: There is no finished dataset or generation, or it has no such entry.
    """
    return place(resolve(uri), cache, dataset, evaluation)


def place(
    found: Resolved, cache: Path, dataset: str | None = None, evaluation: str | None = None
) -> StagedDataset:
    """As `locate`, of an address that is resolved."""
    source, manifest, whole = found.source, found.manifest, found.whole
    entries = choose(manifest, dataset, evaluation, remote=source.local is None)
    if whole is not None:
        path = view.folder(cache, source, whole)
    else:
        path = source.local or cache / manifest.digest[:16]
    lineage = whole.lineage if whole else ""
    return StagedDataset(found.name, path, path, manifest, entries, manifest.digest, lineage)


def stage(
    uri: str,
    cache: Path,
    dataset: str | None = None,
    evaluation: str | None = None,
    *,
    show: Show = shown,
) -> StagedDataset:
    """Makes a dataset available here, verified.

    A local one is used in place, and not written to; of a watched one links are made. However many
    processes of a node ask, one stages and the others wait for it.

    Args:
        uri: As in `locate`.
        cache: As in `locate`; what has been verified is remembered there too.
        dataset: As in `locate`.
        evaluation: As in `locate`.
        show: Shows how far it is.

    Raises:
        ConfigError: As in `locate`; or the cache cannot be written.
        PreflightError: Files are missing, damaged or cannot be fetched, or space is short; all
            faults that were found.
    """
    here = resolve(uri)
    source, whole = here.source, here.whole
    found = place(here, cache, dataset, evaluation)
    ledger_path = path_of(cache, found.path, found.manifest)
    if whole is not None:
        ledger_path = view.ledger_path(cache, source)
    with writable(cache), lock.only_one(ledger_path.with_suffix(".lock"), _say_waiting):
        if whole is not None:
            faults = View(here.uri, whole, found.entries, cache, show).make()
        elif source.local is None:
            faults = _fetch(here, found, cache, Ledger(ledger_path), show)
        else:
            faults = _verify(found, Ledger(ledger_path), show)
    if faults:
        raise PreflightError(faults)
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
        raise ConfigError([f"{found.uri}: the manifest has no table of images; convert again"])
    return File(table.path, table.bytes, table.sha256)


def _fetch(
    here: Resolved, found: StagedDataset, cache: Path, ledger: Ledger, show: Show
) -> list[str]:
    source = here.source
    partials = cache / f"{found.path.name}.partial"
    registry = found.path / REGISTRY
    if _registry_faults(found):
        write_whole(registry, _read(source, REGISTRY))
    if faults := _registry_faults(found) + strays(found.path, found.entries):
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
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(partials)
    return []


def _read(source: Source, path: str) -> bytes:
    try:
        return source.read(path)
    except Exception as error:  # noqa: BLE001 each driver has errors of its own
        raise PreflightError(
            [f"{source.uri}/{path}: cannot be read ({told(error)}); restore it, or convert again"]
        ) from None


def _changed(source: Source, manifest: Manifest) -> bool:
    try:
        return manifests.parse(read_bytes(source)).digest != manifest.digest
    except ConfigError:
        return True


def _say_waiting() -> None:
    sys.stderr.write("Another process of this machine stages this dataset: waiting for it\n")
