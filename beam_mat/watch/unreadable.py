"""Zips that cannot be read: which, and why, for whoever looks after the watch."""

from __future__ import annotations

import hashlib

from beam_mat.core import layout
from beam_mat.core.notes import Source
from beam_mat.core.settings import Settings
from beam_mat.storage import files
from beam_mat.watch.board import UNREADABLE


def _place(settings: Settings, source: Source) -> str:
    name = hashlib.sha256(source.uri.encode()).hexdigest()[:24]
    return files.join(settings.output, UNREADABLE, f"{name}.txt")


def leave(settings: Settings, source: Source, why: str) -> None:
    """Leaves word of one."""
    scratch = files.join(settings.output, layout.SCRATCH)
    files.write_bytes(_place(settings, source), why.encode("utf-8", "backslashreplace"), scratch)


def remove(settings: Settings, source: Source) -> None:
    """Takes word back, when a later version can be read."""
    files.remove(_place(settings, source))


def count(settings: Settings) -> int:
    """How many there are."""
    return len(files.find(files.join(settings.output, UNREADABLE)))
