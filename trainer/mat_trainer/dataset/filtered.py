"""A copy of a dataset without some rows. The dataset itself is never changed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import msgspec

from mat_trainer.core.errors import PreflightError
from mat_trainer.core.manifest import Part
from mat_trainer.core.order import Row, remaining
from mat_trainer.dataset import part_files
from mat_trainer.dataset.cache import only_one
from mat_trainer.dataset.entry import REGISTRY, Entry, registry
from mat_trainer.dataset.progress import ROWS, Advance, Show, shown
from mat_trainer.dataset.stage import StagedDataset
from mat_trainer.dataset.staging import check_room
from mat_trainer.dataset.verify import sha256_of

CONTENTS = "filtered.json"
"""File in the copy that lists its entries. The copy is a cache, not a dataset."""


def leave_out(
    dataset: StagedDataset, rows: Mapping[str, Set[int]], cache: Path, *, show: Show = shown
) -> StagedDataset:
    """Makes a copy without some rows, or finds one that was made before.

    Parts that keep all rows are linked, not copied; images stay where they are. Rows keep their
    order if LLaMA-Factory can load it (`mat_trainer.core.order`).

    Args:
        dataset: The staged dataset.
        rows: Numbers of the rows to leave out, by part.
        cache: Folder for the copies.
        show: Shows the progress.

    Returns:
        The copy, with its parts; the dataset itself if no row is left out.

    Raises:
        PreflightError: No row would remain, or there is not enough disk space.
    """
    out = {path: frozenset(numbers) for path, numbers in sorted(rows.items()) if numbers}
    if not out:
        return dataset
    digest = _digest(dataset, out)
    folder = cache / "filtered" / digest[:16]
    with only_one(folder.with_suffix(".lock"), "copies this dataset"):
        entries = _made(folder)
        if entries is None:
            entries = _make(dataset, out, folder, show)
    choice = dataset.choice.replaced(entries)
    return msgspec.structs.replace(dataset, path=folder, choice=choice, digest=digest)


def _digest(dataset: StagedDataset, out: Mapping[str, Set[int]]) -> str:
    numbers = {path: sorted(rows) for path, rows in out.items()}
    names = [entry.name for entry in dataset.entries]
    return hashlib.sha256(msgspec.json.encode([dataset.digest, names, numbers])).hexdigest()


def _made(folder: Path) -> tuple[Entry, ...] | None:
    """The entries of a copy that was made before; None if there is none, or it is incomplete."""
    try:
        entries = msgspec.json.decode((folder / CONTENTS).read_bytes(), type=tuple[Entry, ...])
        parts = [part for entry in entries for part in entry.parts]
        whole = all((folder / part.path).stat().st_size == part.bytes for part in parts)
    except (OSError, msgspec.DecodeError):
        return None
    return entries if whole else None


def _make(
    dataset: StagedDataset, out: Mapping[str, Set[int]], folder: Path, show: Show
) -> tuple[Entry, ...]:
    unfinished = folder.with_suffix(".unfinished")
    for left in (unfinished, folder):
        if left.exists():
            shutil.rmtree(left)
    kept = {entry.name: _remaining(dataset, entry, out) for entry in dataset.entries}
    unfinished.mkdir(parents=True)
    _check_space(dataset, kept, unfinished)
    total = sum(len(rows) for parts in kept.values() for rows in parts.values())
    with show("Copying", total, ROWS) as advance:
        entries = tuple(
            msgspec.structs.replace(
                entry,
                parts=tuple(_write(dataset, entry, kept[entry.name], unfinished, advance)),
            )
            for entry in dataset.entries
        )
    (unfinished / REGISTRY).write_bytes(registry(entries))
    (unfinished / CONTENTS).write_bytes(msgspec.json.encode(entries))
    os.rename(unfinished, folder)
    return entries


def _remaining(
    dataset: StagedDataset, entry: Entry, out: Mapping[str, Set[int]]
) -> dict[str, list[Row]]:
    images = {
        part.path: part_files.image_rows(dataset.path / part.path, entry.format)
        for part in entry.parts
    }
    try:
        return remaining(images, out)
    except PreflightError as error:
        others = ", or choose other entries: --set dataset=NAME" * (len(dataset.training) > 1)
        faults = [f"{entry.name}: {fault}{others}" for fault in error.faults]
        raise PreflightError(*faults) from None


def _is_whole(part: Part, rows: list[Row]) -> bool:
    return rows == [(part.path, row) for row in range(part.rows)]


def _check_space(
    dataset: StagedDataset, kept: Mapping[str, Mapping[str, list[Row]]], folder: Path
) -> None:
    needed = sum(
        part.bytes
        for entry in dataset.entries
        for part in entry.parts
        if not _is_whole(part, kept[entry.name].get(part.path, []))
    )
    check_room(folder, needed, "a copy without the rows that exceed cutoff_len")


def _write(
    dataset: StagedDataset,
    entry: Entry,
    kept: Mapping[str, list[Row]],
    folder: Path,
    advance: Advance,
) -> Iterator[Part]:
    (folder / entry.folder).mkdir(parents=True, exist_ok=True)
    for part in entry.parts:
        rows = kept.get(part.path)
        if not rows:
            continue
        target = folder / part.path
        if _is_whole(part, rows):
            target.symlink_to((dataset.path / part.path).resolve())
            yield part
        else:
            part_files.write(dataset.path, entry.format, rows, target)
            size = target.stat().st_size
            yield msgspec.structs.replace(
                part, rows=len(rows), bytes=size, sha256=sha256_of(target)
            )
        advance(len(rows))
