"""Removes the files that no kept generation needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from beam_mat.core import layout
from beam_mat.core.results import Part
from beam_mat.core.settings import PARQUET
from beam_mat.dataset import image_table, log
from beam_mat.dataset.commit import WATCH, Snapshot, checkpoint_name, file_name
from beam_mat.dataset.rows import images_of
from beam_mat.storage import files

REMOVED_AT_ONCE = 16


class Garbage(msgspec.Struct, frozen=True):
    """A file that no kept generation needs: its path below the output folder, and its bytes."""

    path: str
    bytes: int


class Kept(msgspec.Struct, frozen=True):
    """The generations to keep, oldest first."""

    snapshots: tuple[Snapshot, ...]

    @property
    def oldest(self) -> Snapshot:
        return self.snapshots[0]

    @property
    def newest(self) -> Snapshot:
        return self.snapshots[-1]


def kept(output: str, keep: int | None) -> Kept:
    """Reads the generations to keep. Skips generations that need a missing commit.

    Args:
        output: URI of the output folder.
        keep: How many generations to keep; None for all.
    """
    there = log.numbers(output)
    numbers = sorted({*there.commits, *there.checkpoints})
    snapshots: list[Snapshot] = []
    for number in numbers if keep is None else numbers[-keep:]:
        found = _next(output, snapshots[-1].copy() if snapshots else Snapshot(), number)
        if found:
            snapshots.append(found)
    return Kept(tuple(snapshots))


def _next(output: str, found: Snapshot, number: int) -> Snapshot | None:
    """Returns a generation; None if it cannot be read. `found` is the previous one, if known."""
    commit = log.read(output, number)
    if commit and commit.previous in (0, found.number):
        found.apply(commit)
        return found
    try:
        return log.snapshot(output, number)
    except log.MissingCommitError:
        return None


def run(output: str, keep: int | None) -> list[Garbage]:
    """Removes all files that the newest `keep` generations do not need, and returns them."""
    stay = kept(output, keep)
    garbage = find(output, stay)
    remove(output, stay, garbage)
    return garbage


def find(output: str, stay: Kept, images: Iterable[str] | None = None) -> list[Garbage]:
    """Lists the output folder and returns the files that no kept generation needs.

    Args:
        output: URI of the output folder.
        stay: The generations to keep.
        images: Image files that may be garbage; None to list them all.
    """
    found = [*_log(output, stay), *_parts(output, stay), *_work(output, stay)]
    needed = needed_images(output, stay.snapshots)
    if images is None:
        found += _unneeded(output, layout.IMAGES, needed)
    else:
        gone = sorted(set(images) - needed)
        found += [Garbage(path, 0) for path in gone]
    return sorted(found, key=lambda one: one.path)


def remove(output: str, stay: Kept, garbage: Iterable[Garbage]) -> None:
    """Removes files. After each removal, all generations that the log still has are whole.

    Therefore commits go first, the newest of them before those that it builds on.
    """
    oldest = stay.oldest
    commits: list[str] = []
    rest: list[str] = []
    for one in garbage:
        is_commit = one.path.startswith(f"{layout.GENERATIONS}/") and one.path.endswith(".json")
        (commits if is_commit else rest).append(one.path)
    first = log.read(output, oldest.number)
    if commits and first is not None and first.previous != 0:
        log.write_checkpoint(output, oldest)
    # Of one number the checkpoint goes last: it stands for the commits that are gone.
    for path in sorted(commits, key=_age):
        files.remove_file(files.join(output, path))
    with ThreadPoolExecutor(REMOVED_AT_ONCE, thread_name_prefix="vacuum") as pool:
        list(pool.map(lambda path: files.remove_file(files.join(output, path)), rest))
    for folder in (layout.IMAGES, layout.REPLACED, layout.WORK, *layout.FLAT_FOLDERS):
        files.prune(files.join(output, folder))


def _age(path: str) -> tuple[int, bool]:
    name = path.rpartition("/")[2]
    return -int(name.partition(".")[0]), "checkpoint" in name


def listed_images(output: str) -> set[str]:
    """Returns the image files that any table of images below the output folder names."""
    tables = (
        f"{layout.GENERATIONS}/{name}"
        for name, _ in files.find(files.join(output, layout.GENERATIONS))
        if name.endswith(".parquet")
    )
    return image_table.files_of(output, tables)


def _log(output: str, stay: Kept) -> Iterator[Garbage]:
    names = {part.path for one in stay.snapshots for part in one.images}
    for one in stay.snapshots:
        names |= {file_name(one.number), checkpoint_name(one.number)}
    return _unneeded(output, layout.GENERATIONS, names)


def _parts(output: str, stay: Kept) -> Iterator[Garbage]:
    newest = stay.newest
    live = newest.files()
    older = {path for one in stay.snapshots[:-1] for path in one.files()}
    for folder in layout.FLAT_FOLDERS:
        # A watch may have been killed before it moved a file of an older generation.
        yield from _unneeded(output, folder, live | older)
    if newest.made and newest.made.command == WATCH:
        # A later commit may mix them again.
        older |= {part.path for one in newest.shards.values() for part in one.parts}
    yield from _unneeded(output, layout.REPLACED, {f"{layout.REPLACED}/{p}" for p in older - live})


def _work(output: str, stay: Kept) -> Iterator[Garbage]:
    """Yields work results that the newest generation does not use."""
    newest = stay.newest
    shards = newest.shards.values()
    stems = {one.stem for one in shards}
    for folder in (layout.SPLITS, layout.REQUESTS, layout.OUTPUTS):
        for name, file in files.find(files.join(output, folder)):
            if not any(name.startswith(stem) for stem in _stems_of(name, stems)):
                yield Garbage(f"{folder}/{name}", file.size)
    tables = {f"{layout.IMAGE_RESULTS}/{name}.parquet" for one in shards for name in one.tables}
    yield from _unneeded(output, layout.IMAGE_RESULTS, tables)
    texts = {part.path for one in shards for part in one.parts}
    yield from _unneeded(output, layout.TEXT_ONLY, texts)
    mixes = {f"{layout.MIXES}/{name}.json" for name in newest.mixes}
    yield from _unneeded(output, layout.MIXES, mixes)
    fingerprint = newest.made.fingerprint if newest.made else ""
    for name, file in files.find(files.join(output, layout.SUMMARIES)):
        if not name.startswith(f"{fingerprint}/"):
            yield Garbage(f"{layout.SUMMARIES}/{name}", file.size)


def _stems_of(name: str, stems: set[str]) -> Iterator[str]:
    """Yields the stem at the beginning of a result's name, if it is one of `stems`."""
    parts = name.removesuffix(".json").split("-")
    for end in range(len(parts), 0, -1):
        stem = "-".join(parts[:end])
        if stem in stems:
            yield stem
            return


def _unneeded(output: str, folder: str, needed: Iterable[str]) -> Iterator[Garbage]:
    needed = set(needed)
    for name, file in files.find(files.join(output, folder)):
        if f"{folder}/{name}" not in needed:
            yield Garbage(f"{folder}/{name}", file.size)


def needed_images(output: str, snapshots: Iterable[Snapshot]) -> set[str]:
    """Returns the image files that generations need.

    These are the files in their image tables. In a generation of a watch, rows can use an older
    picture than the table until their shard is reprocessed, so the rows are read too.
    """
    needed: set[str] = set()
    tables: set[tuple[str, ...]] = set()
    parts: dict[str, Part] = {}
    for one in snapshots:
        paths = tuple(part.path for part in one.images)
        if paths not in tables:
            tables.add(paths)
            table = image_table.read(output, one.images, ["path", "file"])
            needed.update(path for path in table["file"].to_pylist() if path is not None)
        if one.made and one.made.command == WATCH:
            parts.update((part.path, part) for part in one.parts())
    formats = {part.format for part in parts.values()}
    for part in parts.values():
        if part.format == (PARQUET if PARQUET in formats else part.format):
            needed.update(images_of(output, part))
    return needed
