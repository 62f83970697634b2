"""Checks that the nodes of a run share the output folder, which resuming needs."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

PATIENCE_SECONDS = 25.0


@contextlib.contextmanager
def marked(folder: Path) -> Iterator[str]:
    """On node 0: makes a file in the folder while the block lasts.

    Yields:
        The file's name, to announce to the other nodes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / f".shared-{uuid.uuid4().hex}"
    mark.touch()
    try:
        yield mark.name
    finally:
        mark.unlink(missing_ok=True)


def fault(folder: Path, mark: str) -> str | None:
    """On the other nodes: why this is not node 0's folder; None if it is.

    It lists the folder, since network file systems remember for a while that a name was absent.
    A mounted bucket shows a new file after some seconds.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            names = {path.name for path in folder.iterdir()}
        except OSError as error:
            return (
                f"--output-dir {folder}: {error.strerror}; it must be a folder that all nodes share"
            )
        if mark in names:
            return None
        if time.monotonic() >= end:
            break
        time.sleep(0.5)
    return (
        f"--output-dir {folder}: another folder than node 0's, so that training could not resume; "
        "choose one on a file system that all nodes share"
    )
