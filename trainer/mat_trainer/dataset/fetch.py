"""Fetches one file from afar: in ranges, going on where an earlier try stopped, verified."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from mat_trainer.dataset.entry import File
from mat_trainer.dataset.progress import Advance
from mat_trainer.dataset.source import Source, told

BLOCK = 8 << 20
ATTEMPTS = 4
PAUSE_SECONDS = 0.5
"""Before the second attempt; doubled before each further one."""


class FetchError(Exception):
    """A file did not come; the message says which and why."""


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
        source: Where from.
        file: What it must be.
        target: Where to.
        partial: Where it grows; what is there already is not fetched again.
        advance: Is told of each block, and of what was there already.
        stop: Set when the fetching is to end at the next block; what came is kept.

    Returns:
        Whether it is there; False when it was stopped.

    Raises:
        FetchError: It cannot be had, or is not what it must be.
    """
    begun = _grown(partial, file)
    told_bytes = 0
    while True:
        digest = _grow(source, file, partial, stop, advance, told_bytes)
        if digest is None:
            return False
        if digest == file.sha256:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial, target)
            return True
        partial.unlink()
        if not begun:
            raise FetchError(
                f"{source.uri}/{file.path}: sha256 {digest[:16]}… came, expected "
                f"{file.sha256[:16]}…; the dataset was changed or is damaged: convert again"
            )
        # What an earlier try left was not what it should be: once more, from the start.
        begun, told_bytes = 0, file.bytes


def _grown(partial: Path, file: File) -> int:
    """Bytes that an earlier try left; more than there can be are thrown away."""
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
    told_bytes: int,
) -> str | None:
    """Fetches what is missing and returns the SHA-256 of it all, or None when stopped."""
    digest = hashlib.sha256()
    at = 0

    def take(block: bytes) -> None:
        nonlocal at
        digest.update(block)
        at += len(block)
        if at > told_bytes:
            advance(min(len(block), at - told_bytes))

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
            raise FetchError(f"{name}: missing; restore it there, or convert again") from None
        except Exception as error:  # noqa: BLE001 each driver has errors of its own
            fault = told(error)
            continue
        # A cut answer can come back as if it were all of it.
        if len(data) == end - start:
            return data
        fault = f"bytes {start} to {end} were asked for, {len(data)} came"
    raise FetchError(
        f"{name}: {ATTEMPTS} attempts failed, the last with: {fault}; check the network and run "
        "again, it goes on from here"
    )
