"""Shows lines that are appended to a file, as ``tail -f`` does."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_SECONDS = 0.2


@contextlib.contextmanager
def shown(file: Path | None) -> Iterator[None]:
    """Copies bytes that are appended to `file` during the block to standard output.

    The file may appear later. None shows nothing.
    """
    if file is None:
        yield
        return
    done = threading.Event()
    begin = file.stat().st_size if file.exists() else 0
    thread = threading.Thread(target=_copy, args=(file, begin, done), name="follow", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _copy(file: Path, begin: int, done: threading.Event) -> None:
    at = begin
    last = False
    while not last:
        last = done.wait(_SECONDS)  # and once more, for the last lines
        if not file.exists():
            continue
        with file.open("rb") as source:
            source.seek(at)
            while block := source.read(1 << 16):
                at += len(block)
                try:
                    sys.stdout.write(block.decode(errors="replace"))
                    sys.stdout.flush()
                except (
                    OSError,
                    ValueError,
                ):  # nobody reads standard output; the file has everything
                    return
