"""Requests to reprocess shards of the dataset because an image has arrived or changed.

Later steps of the graph cannot send elements to the intake, so they write requests as files. The
intake moves a request to another folder when it takes it up, so that a later request for the same
shards counts as new. It deletes the request when the shards have been committed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import msgspec

from beam_mat.core import layout
from beam_mat.core.results import ChunkRequest, ShardSplit
from beam_mat.core.settings import Settings
from beam_mat.core.summary import ShardSummary
from beam_mat.storage import files
from beam_mat.watch.signals import TAKEN_UP, WAKES
from beam_mat.work import results


class Wake(msgspec.Struct, frozen=True):
    """A request: for the shard with a stem, or for all shards that use an image path."""

    stem: str
    path: str = ""


def leave(settings: Settings, stem: str, path: str = "") -> None:
    """Writes a request. Writing the same request twice has no further effect."""
    request = Wake(stem, path)
    name = stem or hashlib.sha256(path.encode()).hexdigest()[:24]
    files.write_bytes(
        files.join(settings.output, WAKES, f"{name}.json"),
        msgspec.json.encode(request),
        files.join(settings.output, layout.SCRATCH),
    )


def find(settings: Settings) -> dict[str, Wake]:
    """Returns the requests that have not been taken up, by file name."""
    found = files.find(files.join(settings.output, WAKES))
    bodies = files.read_each(file.uri for _, file in found)
    return {
        name: msgspec.json.decode(body, type=Wake)
        for (name, _), body in zip(found, bodies, strict=True)
    }


def take_up(settings: Settings, name: str) -> None:
    """Marks a request as taken up. Must be called before its shards are let in."""
    files.move(
        files.join(settings.output, WAKES, name), files.join(settings.output, TAKEN_UP, name)
    )


def give_back(settings: Settings) -> None:
    """Restores the requests that an earlier run took up and did not complete."""
    for name, file in files.find(files.join(settings.output, TAKEN_UP)):
        files.move(file.uri, files.join(settings.output, WAKES, name))


def shards_of(
    settings: Settings, found: Mapping[str, Wake], entries: Collection[ShardSummary]
) -> dict[str, list[ShardSummary]]:
    """Returns the shards of the dataset that each request is for; none if they were replaced.

    To find the shards that use an image, the work results of all chunks are read, once for all
    requests. This is rare: a zip must contain another picture for a path that is in use.
    """
    by_stem = {entry.stem: entry for entry in entries}
    shards = {
        name: [by_stem[request.stem]] if request.stem in by_stem else []
        for name, request in found.items()
    }
    names = {request.path: name for name, request in found.items() if request.path}
    for entry in entries if names else ():
        (split,) = results.read(settings, layout.SPLITS, [entry.stem], ShardSplit)
        chunks = (chunk.name for chunk in split.chunks)
        used: set[str] = set()
        for requested in results.read(settings, layout.REQUESTS, chunks, ChunkRequest):
            used.update(requested.images)
        for path in used & names.keys():
            shards[names[path]].append(entry)
    return shards


def remove(settings: Settings, name: str) -> None:
    """Deletes a request once it has been served."""
    files.remove(files.join(settings.output, TAKEN_UP, name))
