"""Shards of the dataset that are to be worked on again, since an image has come, or has changed.

The join that finds out cannot reach back to the graph's beginning, so it leaves word in a file, and
the intake finds it there and puts it aside: word that is left from then on is new, and has the
shards worked on once more. What was put aside stays until they are committed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import msgspec

from beam_mat.core import layout
from beam_mat.core.generation import ShardEntry
from beam_mat.core.notes import RequestNote
from beam_mat.core.settings import Settings
from beam_mat.storage import files, notes
from beam_mat.watch.board import TAKEN_UP, WAKES


class Wake(msgspec.Struct, frozen=True):
    """A shard by its stem, or all that use an image."""

    stem: str
    path: str = ""


def leave(settings: Settings, stem: str, path: str = "") -> None:
    """Leaves word. Doing so twice is doing it once."""
    wake = Wake(stem, path)
    name = stem or hashlib.sha256(path.encode()).hexdigest()[:24]
    files.write_bytes(
        files.join(settings.output, WAKES, f"{name}.json"),
        msgspec.json.encode(wake),
        files.join(settings.output, layout.SCRATCH),
    )


def find(settings: Settings) -> dict[str, Wake]:
    """Word that has been left and is not put aside, by the name of its file."""
    found = files.find(files.join(settings.output, WAKES))
    bodies = files.read_each(file.uri for _, file in found)
    return {
        name: msgspec.json.decode(body, type=Wake)
        for (name, _), body in zip(found, bodies, strict=True)
    }


def take_up(settings: Settings, name: str) -> None:
    """Puts word aside, before its shards are let in."""
    files.move(
        files.join(settings.output, WAKES, name), files.join(settings.output, TAKEN_UP, name)
    )


def give_back(settings: Settings) -> None:
    """Makes word that an ended run had put aside new again."""
    for name, file in files.find(files.join(settings.output, TAKEN_UP)):
        files.move(file.uri, files.join(settings.output, WAKES, name))


def shards_of(
    settings: Settings, found: Mapping[str, Wake], entries: Collection[ShardEntry]
) -> dict[str, list[ShardEntry]]:
    """The shards of the dataset that each wake means; none, where they have been replaced since.

    Which shards use an image is read from the notes of all chunks, once for all wakes: it happens
    only when a zip brings another picture under a name that has been used already.
    """
    by_stem = {entry.stem: entry for entry in entries}
    means = {
        name: [by_stem[wake.stem]] if wake.stem in by_stem else [] for name, wake in found.items()
    }
    names = {wake.path: name for name, wake in found.items() if wake.path}
    for entry in entries if names else ():
        chunks = (note.chunk.name for note in entry.chunks)
        asked: set[str] = set()
        for note in notes.read(settings, layout.REQUEST_NOTES, chunks, RequestNote):
            asked.update(note.images)
        for path in asked & names.keys():
            means[names[path]].append(entry)
    return means


def remove(settings: Settings, name: str) -> None:
    """Takes word back, when it has been heeded."""
    files.remove(files.join(settings.output, TAKEN_UP, name))
