"""Verifies a dataset's files by size and SHA-256."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

from mat_trainer.dataset.entry import Entry, File
from mat_trainer.dataset.faults import Faults
from mat_trainer.dataset.ledger import Ledger
from mat_trainer.dataset.progress import BYTES, Advance, Show
from mat_trainer.dataset.threads import each

THREADS = min(8, os.cpu_count() or 1)
_BLOCK = 1 << 20
_CURE = "restore the file, or convert again"


def verify(folder: Path, files: Sequence[File], ledger: Ledger, show: Show) -> Faults:
    """Verifies files, those that the ledger knows by a look at them alone.

    Args:
        folder: The dataset's.
        files: What must be there.
        ledger: Is told what was verified, and saved, also when this is interrupted.
        show: Shows how far it is.
    """
    faults = Faults()
    stop = threading.Event()
    with show("Verifying", sum(file.bytes for file in files), BYTES) as advance:

        def work(file: File) -> None:
            if fault := fault_of(folder, file, ledger, advance):
                faults.add(fault)

        try:
            each(files, work, THREADS, stop)
        finally:
            ledger.save()
    return faults


def fault_of(folder: Path, file: File, ledger: Ledger, advance: Advance) -> str | None:
    """What is wrong with one file, or None. Tells `advance` its whole size in any case."""
    rest = file.bytes

    def read(more: int) -> None:
        nonlocal rest
        advance(min(more, rest))
        rest -= min(more, rest)

    fault = _fault_of(folder / file.path, file, ledger, read)
    read(rest)
    return fault


def _fault_of(path: Path, file: File, ledger: Ledger, read: Advance) -> str | None:
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            return f"{path}: not a file; {_CURE}"
        if before.st_size != file.bytes:
            return f"{path}: {before.st_size:,} bytes, expected {file.bytes:,}; {_CURE}"
        if ledger.knows(file, before):
            return None
        found = sha256_of(path, read)
        after = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return f"{path}: missing; {_CURE}"
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}; make it readable, or {_CURE}"
    if found != file.sha256:
        return f"{path}: sha256 {found[:16]}…, expected {file.sha256[:16]}…; {_CURE}"
    if (before.st_mtime_ns, before.st_ino) != (after.st_mtime_ns, after.st_ino):
        return f"{path}: changed while it was read; stop what writes to the dataset and run again"
    ledger.note(file, after)
    return None


def sha256_of(path: Path, read: Advance | None = None) -> str:
    """A file's SHA-256. Tells `read` of each block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if read:
                read(len(block))
    return digest.hexdigest()


def strays(folder: Path, entries: Sequence[Entry]) -> list[str]:
    """Files beside the parts: LLaMA-Factory reads a folder whole, whatever is in it."""
    faults = []
    for entry in entries:
        place = folder / entry.folder
        parts = {Path(part.path).name for part in entry.parts}
        there = {path.name for path in place.iterdir()} if place.is_dir() else set()
        faults += [
            f"{place / name}: not in the manifest, and LLaMA-Factory would read it; move it away"
            for name in sorted(there - parts)
        ]
    return faults
