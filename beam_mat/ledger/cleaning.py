"""Removes what nobody will ask for any more: files of shards that changed on their way."""

from __future__ import annotations

from collections.abc import Mapping, Set

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.core.settings import Settings
from beam_mat.storage import files, generations

ROUNDS = 3
"""In how many commits in a row a shard's files are looked for: some of it may still be written."""

_FOLDERS = (
    *layout.PART_FOLDERS,
    layout.REJECTS,
    layout.SHARD_NOTES,
    layout.REQUEST_NOTES,
    layout.CHUNK_NOTES,
    layout.SHARD_TOTALS,
    *(f"{layout.TEXT_ONLY}/{folder}" for folder in layout.PART_FOLDERS),
)


def bring_back(settings: Settings, listed: Set[str]) -> set[str]:
    """Brings files of the dataset back that a conversion had put aside when it was killed.

    Args:
        settings: The settings.
        listed: Paths that are in the dataset.

    Returns:
        All that lies in the folders that readers read, as it was found.

    Raises:
        ConfigError: One is nowhere.
    """
    there: set[str] = set()
    for folder in (*layout.PART_FOLDERS, layout.REJECTS):
        found = files.find(files.join(settings.output, folder))
        there.update(f"{folder}/{name}" for name, _ in found)
    lost = []
    for path in sorted(listed - there):
        try:
            generations.restore(settings.output, (path,))
        except FileNotFoundError:
            lost.append(path)
    if lost:
        more = f", and so are {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise ConfigError(
            [
                f"{files.join(settings.output, lost[0])}: is in the dataset's log and not there"
                f"{more}; bring that back, or remove {layout.MANIFEST} and run beam-mat convert, "
                "which makes it again"
            ]
        )
    return there


def clean(settings: Settings, gone: Mapping[str, int], listed: Set[str]) -> dict[str, int]:
    """Removes the files of shards that are gone.

    Args:
        settings: The settings.
        gone: Their stems, each with the rounds that are left.
        listed: Paths that are in the dataset, and stay.

    Returns:
        `gone` a round later.
    """
    for folder in _FOLDERS if gone else ():
        for name, file in files.find(files.join(settings.output, folder)):
            if f"{folder}/{name}" not in listed and any(stem in name for stem in gone):
                files.remove(file.uri)
    return {stem: left - 1 for stem, left in gone.items() if left > 1}


def tidy(settings: Settings, listed: Set[str], known: Set[str]) -> None:
    """Removes the part files that are not in the dataset, when a watch begins.

    A killed run has left them. They would be written again in any case, but their shards may have
    changed since, and a reader of the folders would take them in.

    Args:
        settings: The settings.
        listed: Paths that are in the dataset.
        known: These, and those of parts that were mixed into others: they are put aside.
    """
    for folder in (*layout.PART_FOLDERS, layout.REJECTS):
        for name, file in files.find(files.join(settings.output, folder)):
            path = f"{folder}/{name}"
            if path in known - listed:
                generations.retire(settings.output, (path,))
            elif path not in listed:
                files.remove(file.uri)
        files.prune(files.join(settings.output, folder))
    files.remove(files.join(settings.output, layout.SCRATCH))
