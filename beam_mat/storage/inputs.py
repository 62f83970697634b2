"""Identifies the content of inputs, and detects changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from beam_mat.core.chunk import Shard
from beam_mat.core.errors import SourceError
from beam_mat.core.references import Source
from beam_mat.storage import files

LOOKS_AT_ONCE = 16


def identify(uri: str) -> files.FileInfo:
    """Returns size and version of a file; for a folder, total size and a hash of its listing.

    Raises FileNotFoundError.
    """
    if file := files.file_at(uri):
        return file
    if not files.is_folder(uri):
        raise FileNotFoundError(uri)
    digest = hashlib.sha256()
    size = 0
    for path, file in files.find(uri, follow=True):
        line = f"{path}\0{file.size}\0{file.version}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        size += file.size
    return files.FileInfo(files.normalize(uri), size, digest.hexdigest()[:24])


def change(place: Shard | Source) -> str | None:
    """Returns a sentence that says how an input has changed since the job began, or None."""
    try:
        found = identify(place.uri)
    except FileNotFoundError:
        return f"{place.uri}: existed when the job began, but no longer exists"
    if (found.size, found.version) == place.content:
        return None
    return (
        f"{place.uri}: changed while it was converted (before: {place.size} bytes, version "
        f"{place.version}; now: {found.size} bytes, version {found.version})"
    )


def require_unchanged(place: Shard | Source) -> None:
    """Raises a SourceError if an input has changed since the job began."""
    if said := change(place):
        raise SourceError(f"{said}; nothing was published: run the same command again")


def changed(places: Iterable[Shard | Source]) -> list[tuple[Shard | Source, str]]:
    """Returns the inputs that have changed, each with a sentence that says how."""
    places = list(places)
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        return [
            (place, said)
            for place, said in zip(places, pool.map(change, places), strict=True)
            if said
        ]
