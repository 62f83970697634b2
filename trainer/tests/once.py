"""What costs much and is only read: made once, whichever test processes ask for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mat_trainer.dataset.cache import only_one


def once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path] = lambda folder: folder
) -> Path:
    """What `make` made in a new folder for the first process that asked; the others wait for it."""
    run = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent  # that one is this process's own
    note = run / f"{name}.made"
    with only_one(run / f"{name}.lock", "prepares a test"):
        if not note.exists():
            note.write_text(str(make(factory.mktemp(name))))
        return Path(note.read_text())
