"""One generation of a watched dataset, in a folder of the cache that stays as it is.

The dataset's own folders go on with each new generation, so that even one of this machine cannot be
used in place. A generation's folder holds links to its files, or to those of an earlier generation
that was staged; only what neither has is fetched or copied. Deleting a folder costs nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mat_trainer.core import manifest as manifests
from mat_trainer.core.generation import Whole
from mat_trainer.core.manifest import FORMAT
from mat_trainer.dataset import images, links
from mat_trainer.dataset.entry import (
    IMAGES,
    JSONL,
    PARQUET,
    REGISTRY,
    Entry,
    File,
    entries,
    files,
    registry,
)
from mat_trainer.dataset.faults import Faults
from mat_trainer.dataset.generations import PartSource
from mat_trainer.dataset.ledger import Ledger, write_whole
from mat_trainer.dataset.progress import BYTES, Show
from mat_trainer.dataset.source import Source
from mat_trainer.dataset.staging import check_space, fetch_missing, lacking, partial
from mat_trainer.dataset.threads import each
from mat_trainer.dataset.verify import THREADS, fault_of, strays

FOLDER = "generations"
_PARTIALS = "partial"
_LEDGER = "verified.json"


def home(cache: Path, source: Source) -> Path:
    """The folder of all generations of one dataset that are here."""
    place = os.fsdecode(source.local.resolve()) if source.local else source.uri.rstrip("/")
    return cache / FOLDER / hashlib.sha256(os.fsencode(place)).hexdigest()[:16]


def folder(cache: Path, source: Source, whole: Whole) -> Path:
    """The folder of one generation."""
    # With the digest: a dataset may have been begun anew at the same address.
    return home(cache, source) / f"{whole.number:06}-{whole.manifest.digest[:8]}"


def ledger_path(cache: Path, source: Source) -> Path:
    """The ledger that all generations of a dataset share, as they share files."""
    return home(cache, source) / _LEDGER


class View:
    """A generation's folder, to be filled.

    Args:
        uri: The dataset's.
        whole: The generation.
        chosen: The entries to be there.
        cache: Folder for staged datasets.
        show: Shows how far it is.
    """

    def __init__(
        self, uri: str, whole: Whole, chosen: tuple[Entry, ...], cache: Path, show: Show
    ) -> None:
        self._source = PartSource(uri)
        self._whole = whole
        self._chosen = chosen
        self._path = folder(cache, self._source, whole)
        self._partials = home(cache, self._source) / _PARTIALS
        self._ledger = Ledger(ledger_path(cache, self._source))
        self._earlier = _earlier(self._path)
        self._show = show

    def make(self) -> list[str]:
        """Makes it whole and verified; returns the faults. What is there already is not read again.

        Raises:
            ConfigError: A table of images cannot be read.
            PreflightError: The disk has not enough space.
        """
        write_whole(self._path / REGISTRY, registry(self._chosen))
        if faults := strays(self._path, self._chosen):
            return faults
        needed = files(self._chosen)
        if any(entry.format == JSONL for entry in self._chosen):
            tables = [File(part.path, part.bytes, part.sha256) for part in self._whole.tables]
            if faults := self._obtain(tables):
                return faults
            needed += images.usable(self._path / table.path for table in tables)
        if faults := self._obtain(needed):
            return faults
        write_whole(self._path / manifests.NAME, self._manifest())
        shutil.rmtree(self._partials, ignore_errors=True)
        return []

    def _obtain(self, needed: Sequence[File]) -> list[str]:
        links.reuse(needed, self._path, self._earlier, self._partials, self._ledger)
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
            check_space(missing, [], self._path)
        faults, stop = Faults(), threading.Event()
        with self._show("Staging", sum(file.bytes for file in missing), BYTES) as advance:

            def work(file: File) -> None:
                grown = partial(self._partials, file)
                if links.take(source, file, self._path / file.path, grown):
                    fault = fault_of(self._path, file, self._ledger, advance)
                else:
                    fault = f"{source / file.path}: missing"
                if fault:
                    faults.add(self._explain(file, fault))

            each(missing, work, THREADS, stop)
        return faults.sentences()

    def _explain(self, file: File, fault: str) -> str:
        number = self._whole.number
        if not file.path.startswith(f"{IMAGES}/"):
            return f"{fault}; it is of generation {number}"
        cure = "train on a newer generation"
        if any(entry.format == PARQUET for entry in entries(self._whole.manifest).values()):
            name = "mat_parquet" + "_val" * (self._chosen[0].split != "train")
            cure = f"say --set dataset={name}, whose rows have the images inside, or {cure}"
        return (
            f"{self._source.uri}/{file.path}: not as generation {number} had it ({fault}): a later "
            f"generation changed this image, or it is damaged; {cure}"
        )

    def _manifest(self) -> bytes:
        told = {
            "format": FORMAT,
            "generation": self._whole.number,
            "parts": self._whole.manifest.parts,
            "image_table": None,
        }
        return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _earlier(path: Path) -> list[Path]:
    """The folders of other generations, whole or begun, the nearest first."""
    others = [other for other in path.parent.glob("[0-9]*-*") if other != path]
    own = _number(path)
    return sorted(others, key=lambda other: (abs(own - _number(other)), other.name))


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])
