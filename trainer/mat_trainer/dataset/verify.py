"""Verifies a dataset's files by size and SHA-256."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from mat_trainer.dataset.entry import Entry, File
from mat_trainer.dataset.ledger import Ledger
from mat_trainer.dataset.progress import Advance, Show
from mat_trainer.dataset.threads import Faults, each_file

THREADS = min(8, os.cpu_count() or 1)
_BLOCK = 1 << 20
_CURE = "restore the file, or convert again"


def verify(folder: Path, files: Sequence[File], ledger: Ledger, show: Show) -> Faults:
    """Verifies files; the content of those that the ledger knows is not read again.

    Args:
        folder: The dataset's folder.
        files: The files that must be there.
        ledger: Takes a note of each verified file, and is saved, also after an interrupt.
        show: Shows the progress.
    """

    def work(file: File, advance: Advance, _: object) -> str | None:
        return fault_of(folder, file, ledger, advance)

    return each_file("Verifying", files, work, THREADS, ledger, show)


def fault_of(folder: Path, file: File, ledger: Ledger, advance: Advance) -> str | None:
    """What is wrong with one file, or None. Reports its whole size to `advance` in any case."""
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
        return f"{path}: changed while it was read; stop what writes to it, then run again"
    ledger.note(file, after)
    return None


def sha256_of(path: Path, read: Advance | None = None) -> str:
    """A file's SHA-256. Reports the size of each block to `read`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if read:
                read(len(block))
    return digest.hexdigest()


def strays(folder: Path, entries: Sequence[Entry]) -> list[str]:
    """Foreign files beside the parts: LLaMA-Factory reads every file of a part folder."""
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
