"""Fetches one remote file: in ranges, continuing an earlier try, and verified."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from mat_trainer.dataset.entry import File
from mat_trainer.dataset.progress import Advance
from mat_trainer.dataset.source import Source, described

BLOCK = 8 << 20
ATTEMPTS = 4
PAUSE_SECONDS = 0.5
"""Pause before the second attempt; doubled before each further one."""


class FetchError(Exception):
    """A file could not be fetched; the message says which and why."""


def fetch(
    source: Source,
    file: File,
    target: Path,
    partial: Path,
    advance: Advance,
    stop: threading.Event,
) -> bool:
    """Fetches a file to `target`, where it appears whole and verified.

    Args:
        source: Where to fetch from.
        file: The file, with its size and SHA-256.
        target: Where to put it.
        partial: The incomplete file; bytes that it already has are not fetched again.
        advance: Takes the size of each block, also of those that `partial` already had.
        stop: Stops the fetching at the next block if it is set; `partial` stays.

    Returns:
        Whether it is complete; False if it was stopped.

    Raises:
        FetchError: The file cannot be fetched, or is damaged.
    """
    begun = _grown(partial, file)
    counted = 0
    while True:
        digest = _grow(source, file, partial, stop, advance, counted)
        if digest is None:
            return False
        if digest == file.sha256:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial, target)
            return True
        partial.unlink()
        if not begun:
            raise FetchError(
                f"{source.uri}/{file.path}: sha256 {digest[:16]}…, expected {file.sha256[:16]}…; "
                "the file is damaged: restore it, or convert again"
            )
        # The rest of an earlier try was damaged: once more, from the start.
        begun, counted = 0, file.bytes


def _grown(partial: Path, file: File) -> int:
    """Bytes that an earlier try left; a file that is too long is deleted."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    size = partial.stat().st_size if partial.exists() else 0
    if size > file.bytes:
        partial.unlink()
        return 0
    return size


def _grow(
    source: Source,
    file: File,
    partial: Path,
    stop: threading.Event,
    advance: Advance,
    counted: int,
) -> str | None:
    """Fetches the missing bytes; returns the file's SHA-256, or None if it was stopped."""
    digest = hashlib.sha256()
    at = 0

    def take(block: bytes) -> None:
        nonlocal at
        digest.update(block)
        at += len(block)
        if at > counted:
            advance(min(len(block), at - counted))

    with partial.open("a+b") as out:
        out.seek(0)
        while block := out.read(BLOCK):
            take(block)
        while at < file.bytes:
            found = _range(source, file, at, min(at + BLOCK, file.bytes), stop)
            if found is None:
                return None
            out.write(found)
            take(found)
    return digest.hexdigest()


def _range(source: Source, file: File, start: int, end: int, stop: threading.Event) -> bytes | None:
    name = f"{source.uri}/{file.path}"
    pause = PAUSE_SECONDS
    fault = ""
    for attempt in range(ATTEMPTS):
        if stop.is_set() or (attempt and stop.wait(pause * 2 ** (attempt - 1))):
            return None
        try:
            data = source.read_range(file.path, start, end)
        except FileNotFoundError:
            raise FetchError(f"{name}: missing; restore it, or convert again") from None
        except Exception as error:  # noqa: BLE001 each driver has errors of its own
            fault = described(error)
            continue
        # A store may answer with fewer bytes and no error.
        if len(data) == end - start:
            return data
        fault = f"bytes {start} to {end} were requested, {len(data)} bytes came"
    raise FetchError(
        f"{name}: {ATTEMPTS} attempts failed, the last with: {fault}; check the network and run "
        "again, which continues from here"
    )
