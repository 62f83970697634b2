"""One file under several names: a link if the file system allows it, else a copy."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mat_trainer.core.generation import REPLACED
from mat_trainer.dataset import staging
from mat_trainer.dataset.entry import File
from mat_trainer.dataset.ledger import Ledger


def reuse(
    needed: Sequence[File], folder: Path, others: Sequence[Path], partials: Path, ledger: Ledger
) -> None:
    """Links the files that `folder` lacks and another generation's folder has.

    A file of the same path and size is linked. If the ledger, which the folders share, does not
    know it, its content is verified with the folder's other files.
    """
    for file in needed:
        target = folder / file.path
        if target.exists():
            continue
        for other in others:
            place = other / file.path
            try:
                look = place.stat()
            except OSError:
                continue
            if look.st_size != file.bytes:
                continue
            is_known = ledger.knows(file, look)
            link(place, target, staging.partial(partials, file))
            if is_known:
                # A link changes a file's time of change, for all its names.
                ledger.note(file, target.stat())
            break


def take(source: Path, file: File, target: Path, partial: Path) -> bool:
    """Links a part or an image of a local dataset.

    beam-mat may move a part but never writes into a file, so a link keeps its content.

    Returns:
        Whether the file exists.
    """
    # The file may be moved while this runs, and back.
    for place in (source / file.path, source / REPLACED / file.path, source / file.path):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            link(place, target, partial)
            return True
    return False


def link(place: Path, target: Path, partial: Path) -> None:
    """Makes `target` a link to the file at `place`, or a copy of it. An old `target` is replaced.

    Args:
        place: The file.
        target: Its new name.
        partial: Where a copy grows, on the same file system as `target`.

    Raises:
        FileNotFoundError: There is no file at `place`.
    """
    real = os.path.realpath(place)  # a link to a symbolic link would break elsewhere
    os.stat(real)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(real, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, one without links, or another user's file
        partial.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real, partial)
        os.replace(partial, target)
