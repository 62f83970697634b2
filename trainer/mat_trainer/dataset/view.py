"""One generation of a dataset, in a folder of the cache that does not change.

The dataset's own folders change with each generation, so that even a local one cannot be used in
place. A generation's folder has links to the dataset's files, or to those of another generation
that was staged before; only missing files are fetched or copied. The folder can be deleted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mat_trainer.core import manifest as manifests
from mat_trainer.core.generation import Snapshot
from mat_trainer.core.subset import JSONL
from mat_trainer.dataset import images, links
from mat_trainer.dataset.entry import REGISTRY, Entry, File, files, registry
from mat_trainer.dataset.generations import PartSource
from mat_trainer.dataset.ledger import Ledger, write_whole
from mat_trainer.dataset.progress import Advance, Show
from mat_trainer.dataset.source import Source
from mat_trainer.dataset.staging import check_room, fetch_missing, lacking, partial
from mat_trainer.dataset.threads import each_file
from mat_trainer.dataset.verify import THREADS, fault_of, strays

FOLDER = "generations"
_PARTIALS = "partial"
_LEDGER = "verified.json"


def home(cache: Path, source: Source) -> Path:
    """The folder for all staged generations of a dataset."""
    place = os.fsdecode(source.local.resolve()) if source.local else source.uri.rstrip("/")
    return cache / FOLDER / hashlib.sha256(os.fsencode(place)).hexdigest()[:16]


def folder(cache: Path, source: Source, snapshot: Snapshot) -> Path:
    """The folder of one generation."""
    # With the digest: another dataset may have been begun at the same address.
    return home(cache, source) / f"{snapshot.number:06}-{snapshot.manifest.digest[:8]}"


def ledger_path(cache: Path, source: Source) -> Path:
    """The ledger that all generations of a dataset share, as they share files."""
    return home(cache, source) / _LEDGER


class View:
    """Fills a generation's folder.

    Args:
        uri: The dataset's address.
        snapshot: The generation.
        chosen: The entries that the folder must have.
        cache: Folder for staged datasets.
        show: Shows the progress.
    """

    def __init__(
        self, uri: str, snapshot: Snapshot, chosen: tuple[Entry, ...], cache: Path, show: Show
    ) -> None:
        self._source = PartSource(uri)
        self._snapshot = snapshot
        self._chosen = chosen
        self._path = folder(cache, self._source, snapshot)
        self._partials = home(cache, self._source) / _PARTIALS
        self._ledger = Ledger(ledger_path(cache, self._source))
        self._others = _others(self._path)
        self._show = show

    def make(self) -> list[str]:
        """Completes and verifies the folder; returns the faults. Verified files are not read again.

        Raises:
            ConfigError: A table of images cannot be read.
            PreflightError: There is not enough disk space.
        """
        write_whole(self._path / REGISTRY, registry(self._chosen))
        if faults := strays(self._path, self._chosen):
            return faults
        needed = files(self._chosen)
        if any(entry.format == JSONL for entry in self._chosen):
            tables = [File(part.path, part.bytes, part.sha256) for part in self._snapshot.tables]
            if faults := self._obtain(tables):
                return faults
            needed += images.usable(self._path / table.path for table in tables)
        if faults := self._obtain(needed):
            return faults
        write_whole(self._path / manifests.NAME, self._manifest())
        shutil.rmtree(self._partials, ignore_errors=True)
        return []

    def _obtain(self, needed: Sequence[File]) -> list[str]:
        links.reuse(needed, self._path, self._others, self._partials, self._ledger)
        try:
            if self._source.local is not None:
                return self._link(needed, self._source.local)
            return fetch_missing(
                self._source,
                needed,
                self._path,
                self._partials,
                self._ledger,
                self._show,
                explain=self._explain,
            )
        finally:
            self._ledger.save()

    def _link(self, needed: Sequence[File], source: Path) -> list[str]:
        missing = lacking(needed, self._path, self._ledger, self._show)
        if not missing:
            return []
        if source.stat().st_dev != self._path.stat().st_dev:
            check_room(self._path, sum(file.bytes for file in missing), "staging")

        def work(file: File, advance: Advance, _: object) -> str | None:
            grown = partial(self._partials, file)
            if links.take(source, file, self._path / file.path, grown):
                fault = fault_of(self._path, file, self._ledger, advance)
            else:
                fault = f"{source / file.path}: missing; restore the file, or convert again"
            return self._explain(fault) if fault else None

        return each_file("Staging", missing, work, THREADS, self._ledger, self._show).sentences()

    def _explain(self, fault: str) -> str:
        return f"{fault} (generation {self._snapshot.number} of {self._source.uri} needs it)"

    def _manifest(self) -> bytes:
        manifest = self._snapshot.manifest
        content = {
            "format": manifests.FORMAT,
            "generation": manifest.generation,
            "command": manifest.command,
            "configuration": {"name": manifest.name},
            "parts": manifest.parts,
            "image_table": None,
        }
        return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _others(path: Path) -> list[Path]:
    """The folders of other generations, the nearest first."""
    others = [other for other in path.parent.glob("[0-9]*-*") if other != path]
    own = _number(path)
    return sorted(others, key=lambda other: (abs(own - _number(other)), other.name))


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])
