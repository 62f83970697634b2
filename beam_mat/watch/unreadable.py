"""Files that list the unreadable zips and the reasons, for the operator of the watch."""

from __future__ import annotations

import hashlib

from beam_mat.core import layout
from beam_mat.core.references import Source
from beam_mat.core.settings import Settings
from beam_mat.storage import files
from beam_mat.watch.signals import UNREADABLE


def _uri(settings: Settings, source: Source) -> str:
    name = hashlib.sha256(source.uri.encode()).hexdigest()[:24]
    return files.join(settings.output, UNREADABLE, f"{name}.txt")


def leave(settings: Settings, source: Source, why: str) -> None:
    """Records that a zip cannot be read."""
    scratch = files.join(settings.output, layout.SCRATCH)
    files.write_bytes(_uri(settings, source), why.encode("utf-8", "backslashreplace"), scratch)


def remove(settings: Settings, source: Source) -> None:
    """Removes the record when a later version can be read."""
    files.remove(_uri(settings, source))


def count(settings: Settings) -> int:
    """Returns the number of unreadable zips."""
    return len(files.find(files.join(settings.output, UNREADABLE)))
