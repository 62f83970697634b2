"""One file under several names: linked where the file system can, else copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mat_trainer.core.generation import REPLACED
from mat_trainer.dataset import staging
from mat_trainer.dataset.entry import File
from mat_trainer.dataset.ledger import Ledger


def reuse(
    needed: Sequence[File], folder: Path, earlier: Sequence[Path], partials: Path, ledger: Ledger
) -> None:
    """Takes over what earlier folders have of what `folder` lacks. They share the ledger.

    A file of the same path and size is linked. Whether it is the same one the ledger knows, or it
    is found out when the folder is verified.
    """
    for file in needed:
        target = folder / file.path
        if target.exists():
            continue
        for other in earlier:
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
    """Takes a part or image from a watched dataset of this machine.

    Watching renames parts that it replaces, and puts new images in the place of old ones; it never
    writes into a file. So a link stays what it is.

    Returns:
        Whether it is there.
    """
    # It may be moved while we look for it, and back.
    for place in (source / file.path, source / REPLACED / file.path, source / file.path):
        try:
            link(place, target, partial)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return True
    return False


def link(place: Path, target: Path, partial: Path) -> None:
    """Makes `target` another name of the file at `place`, or a copy of it, replacing what is there.

    Args:
        place: Where it is.
        target: Its new name.
        partial: Where a copy grows, on the same file system as `target`.

    Raises:
        FileNotFoundError: Nothing is at `place`.
    """
    real = os.path.realpath(place)  # a link to a symbolic link is of no use elsewhere
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
