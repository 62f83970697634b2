"""Fetches the files of a dataset that are not here yet, many at a time."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from mat_trainer.core.errors import PreflightError
from mat_trainer.dataset.entry import File
from mat_trainer.dataset.fetch import FetchError, fetch
from mat_trainer.dataset.ledger import Ledger
from mat_trainer.dataset.progress import Advance, Show
from mat_trainer.dataset.source import Source
from mat_trainer.dataset.threads import LIMIT, each_file
from mat_trainer.dataset.verify import THREADS, fault_of

FETCHES = 16
"""Files that are fetched at a time: small ones wait for the network, not for this machine."""


def fetch_missing(
    source: Source,
    needed: Sequence[File],
    folder: Path,
    partials: Path,
    ledger: Ledger,
    show: Show,
    *,
    explain: Callable[[str], str] = str,
) -> list[str]:
    """Fetches the files that are missing or damaged in `folder`, and no others.

    Ends early when many files fail, since then all would. Fetched files stay for the next time.

    Args:
        source: Where to fetch from.
        needed: The files that must be there.
        folder: Where to put them.
        partials: Folder on the same file system for incomplete files.
        ledger: Knows which files are verified, and takes a note of each new one.
        show: Shows the progress.
        explain: Makes the message for the user from a fault.

    Returns:
        The faults.

    Raises:
        PreflightError: There is not enough disk space.
    """
    missing = lacking(needed, folder, ledger, show)
    if not missing:
        return []
    grown = {file: partial(partials, file) for file in missing}
    folder.mkdir(parents=True, exist_ok=True)
    have = sum(path.stat().st_size for path in grown.values() if path.exists())
    check_room(folder, sum(file.bytes for file in missing) - have, "staging")
    failed: list[File] = []

    def work(file: File, advance: Advance, stop: threading.Event) -> str | None:
        target = folder / file.path
        try:
            if fetch(source, file, target, grown[file], advance, stop):
                ledger.note(file, target.stat())
        except FetchError as error:
            failed.append(file)
            if len(failed) >= LIMIT:
                stop.set()
            return explain(str(error))
        return None

    return each_file("Staging", missing, work, FETCHES, ledger, show).sentences()


def lacking(needed: Sequence[File], folder: Path, ledger: Ledger, show: Show) -> list[File]:
    """Files that are missing or damaged; in the order of `needed`, each once."""
    once = list({file.path: file for file in needed}.values())
    there = [file for file in once if (folder / file.path).exists()]
    unknown = [file for file in there if not ledger.knows(file, (folder / file.path).stat())]
    absent = {file.path for file in once} - {file.path for file in there}

    def work(file: File, advance: Advance, _: object) -> None:
        if fault_of(folder, file, ledger, advance):
            absent.add(file.path)

    if unknown:
        each_file("Verifying", unknown, work, THREADS, ledger, show)
    return [file for file in once if file.path in absent]


def partial(partials: Path, file: File) -> Path:
    """Where an incomplete file grows. The name has its hash: the rest of another one is no use."""
    return partials / hashlib.sha256(f"{file.path}\n{file.sha256}".encode()).hexdigest()[:32]


def check_room(folder: Path, needed: int, what: str) -> None:
    """Makes sure that `what` can write `needed` bytes more to the folder's disk.

    Raises:
        PreflightError: There is not enough space.
    """
    free = free_bytes(folder)
    if needed > free:
        raise PreflightError(
            f"{folder}: {what} needs {needed / 1e9:,.2f} GB more and {free / 1e9:,.2f} GB are "
            "free; make space, or set MAT_TRAINER_CACHE to a folder on a larger disk",
        )


def free_bytes(folder: Path) -> int:
    """Free space on a folder's disk."""
    return shutil.disk_usage(folder).free
