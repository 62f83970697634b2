"""Fetches the files of a dataset that are not here yet, many at a time."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from mat_trainer.core.errors import PreflightError
from mat_trainer.dataset.entry import File
from mat_trainer.dataset.faults import LIMIT, Faults
from mat_trainer.dataset.fetch import FetchError, fetch
from mat_trainer.dataset.ledger import Ledger
from mat_trainer.dataset.progress import BYTES, Show
from mat_trainer.dataset.source import Source
from mat_trainer.dataset.threads import each
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
    explain: Callable[[File, str], str] = lambda file, fault: fault,  # noqa: ARG005
) -> list[str]:
    """Fetches what is missing or damaged in `folder`, and nothing else.

    Ends early when many files fail, since then all would; what came is kept for the next time.

    Args:
        source: Where from.
        needed: What must be there.
        folder: Where to.
        partials: Folder on the same file system for what is not whole yet.
        ledger: Knows what is there and verified; is told what came.
        show: Shows how far it is.
        explain: Makes of a file and its fault what the user is told.

    Returns:
        The faults.

    Raises:
        PreflightError: The disk has not enough space.
    """
    missing = lacking(needed, folder, ledger, show)
    if not missing:
        return []
    grown = {file: partial(partials, file) for file in missing}
    folder.mkdir(parents=True, exist_ok=True)
    check_space(missing, list(grown.values()), folder)
    faults = Faults()
    stop = threading.Event()
    with show("Staging", sum(file.bytes for file in missing), BYTES) as advance:

        def work(file: File) -> None:
            target = folder / file.path
            try:
                if fetch(source, file, target, grown[file], advance, stop):
                    ledger.note(file, target.stat())
            except FetchError as error:
                faults.add(explain(file, str(error)))
                if faults.count >= LIMIT:
                    stop.set()

        try:
            each(missing, work, FETCHES, stop)
        finally:
            ledger.save()
    return faults.sentences()


def lacking(needed: Sequence[File], folder: Path, ledger: Ledger, show: Show) -> list[File]:
    """Files that are not there, or not as they must be; order as in `needed`, each once."""
    once = list({file.path: file for file in needed}.values())
    there = [file for file in once if (folder / file.path).exists()]
    unknown = [file for file in there if not ledger.knows(file, (folder / file.path).stat())]
    absent = {file.path for file in once} - {file.path for file in there}
    if unknown:
        stop = threading.Event()
        with show("Verifying", sum(file.bytes for file in unknown), BYTES) as advance:

            def work(file: File) -> None:
                if fault_of(folder, file, ledger, advance):
                    absent.add(file.path)

            each(unknown, work, THREADS, stop)
    return [file for file in once if file.path in absent]


def partial(partials: Path, file: File) -> Path:
    """Where a file grows. Named by content too: what is left of another one is of no use."""
    return partials / hashlib.sha256(f"{file.path}\n{file.sha256}".encode()).hexdigest()[:32]


def check_space(missing: Sequence[File], partials: Sequence[Path], folder: Path) -> None:
    """Makes sure that what is missing fits on the folder's disk, less what has come already.

    Raises:
        PreflightError: It does not.
    """
    have = sum(path.stat().st_size for path in partials if path.exists())
    needed = sum(file.bytes for file in missing) - have
    free = free_bytes(folder)
    if needed > free:
        raise PreflightError(
            [
                f"{folder}: staging needs {needed / 1e9:,.2f} GB more and {free / 1e9:,.2f} GB are "
                "free; make space, or set MAT_TRAINER_CACHE to a folder on a larger disk"
            ]
        )


def free_bytes(folder: Path) -> int:
    """Space that is left on a folder's disk."""
    return shutil.disk_usage(folder).free
