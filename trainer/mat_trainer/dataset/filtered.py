"""A copy of a dataset from which rows are left out. The dataset itself is never changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import msgspec

from mat_trainer.core.errors import PreflightError
from mat_trainer.core.manifest import Part
from mat_trainer.core.order import Row, remaining
from mat_trainer.dataset import lock, part_files
from mat_trainer.dataset.entry import REGISTRY, Entry
from mat_trainer.dataset.progress import ROWS, Advance, Show, shown
from mat_trainer.dataset.stage import StagedDataset
from mat_trainer.dataset.staging import free_bytes
from mat_trainer.dataset.verify import sha256_of

CONTENTS = "filtered.json"
"""What the copy holds; it lies in the copy, which is a cache and no dataset of its own."""


def leave_out(
    dataset: StagedDataset, rows: Mapping[str, Set[int]], cache: Path, *, show: Show = shown
) -> StagedDataset:
    """Makes, or finds again, a copy without some rows.

    Parts that lose no row are linked, not copied; images stay where they are. The order of rows is
    kept as far as LLaMA-Factory can load it (`mat_trainer.core.order`).

    Args:
        dataset: As it was staged.
        rows: Numbers of the rows to leave out, by part.
        cache: Folder for the copies.
        show: Shows how far it is.

    Returns:
        The copy, with the parts that it has; the dataset itself when no row is left out.

    Raises:
        PreflightError: Nothing would remain, or the disk has not enough space.
    """
    out = {path: frozenset(numbers) for path, numbers in sorted(rows.items()) if numbers}
    if not out:
        return dataset
    digest = _digest(dataset, out)
    folder = cache / "filtered" / digest[:16]
    with lock.only_one(folder.with_suffix(".lock"), _say_waiting):
        entries = _made(folder)
        if entries is None:
            entries = _make(dataset, out, folder, show)
    return msgspec.structs.replace(dataset, path=folder, entries=entries, digest=digest)


def _digest(dataset: StagedDataset, out: Mapping[str, Set[int]]) -> str:
    numbers = {path: sorted(rows) for path, rows in out.items()}
    names = [entry.name for entry in dataset.entries]
    return hashlib.sha256(msgspec.json.encode([dataset.digest, names, numbers])).hexdigest()


def _made(folder: Path) -> tuple[Entry, ...] | None:
    """What a copy holds that was made before; None when there is none, or not whole any more."""
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
    kept = {entry.name: _remaining(dataset.path, entry, out) for entry in dataset.entries}
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
    registry = msgspec.json.decode((dataset.path / REGISTRY).read_bytes())
    ours = {entry.name: registry[entry.name] for entry in entries}
    (unfinished / REGISTRY).write_bytes(msgspec.json.format(msgspec.json.encode(ours)) + b"\n")
    (unfinished / CONTENTS).write_bytes(msgspec.json.encode(entries))
    os.rename(unfinished, folder)
    return entries


def _remaining(folder: Path, entry: Entry, out: Mapping[str, Set[int]]) -> dict[str, list[Row]]:
    images = {
        part.path: part_files.image_rows(folder / part.path, entry.format) for part in entry.parts
    }
    return remaining(images, out)


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
    free = free_bytes(folder)
    if needed > free:
        raise PreflightError(
            [
                f"{folder}: a copy without the rows that pass cutoff_len needs "
                f"{needed / 1e9:,.2f} GB, {free / 1e9:,.2f} GB are free; make space, or set "
                "MAT_TRAINER_CACHE to a folder on a larger disk"
            ]
        )


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


def _say_waiting() -> None:
    sys.stderr.write("Another process of this machine copies this dataset: waiting for it\n")
