"""Whether the nodes of a run see one output folder: checkpoints can only be gone on from if so."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def marked(folder: Path) -> Iterator[str]:
    """On node 0: leaves a file in the folder while the block lasts.

    Yields:
        The file's name, to be announced to the others.
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

    A listing is asked for, since network file systems remember for a while that a name was absent.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        return f"--output-dir {folder}: {error.strerror}; it must be a folder that all nodes share"
    if mark in names:
        return None
    return (
        f"--output-dir {folder}: another folder than node 0's; name one on a file system that all "
        "nodes share, or none could go on from a checkpoint"
    )
