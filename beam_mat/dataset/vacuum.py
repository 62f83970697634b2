"""Removes the files that no kept generation needs."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from beam_mat.core import layout
from beam_mat.core.results import Part
from beam_mat.core.settings import PARQUET
from beam_mat.dataset import image_table, log
from beam_mat.dataset.commit import WATCH, Commit, Snapshot, file_name
from beam_mat.dataset.flat import RowImages, folders, read_rows
from beam_mat.storage import files

REMOVED_AT_ONCE = 16


class Garbage(msgspec.Struct, frozen=True):
    """A file that no kept generation needs: its path below the output folder, and its bytes."""

    path: str
    bytes: int


def kept(output: str, keep: int | None) -> list[Snapshot]:
    """Reads the newest `keep` generations, or all, oldest first.

    Skips generations that need a missing commit.
    """
    stay: list[Snapshot] = []
    numbers = log.numbers(output).all
    for number in numbers if keep is None else numbers[-keep:]:
        found = copy.copy(stay[-1]) if stay else Snapshot()
        commit = log.read(output, number)
        try:
            if commit and commit.previous in (0, found.number):
                found.apply(commit)
            else:
                found = log.snapshot(output, number)
        except log.MissingCommitError:
            continue
        stay.append(found)
    return stay


def run(
    output: str, keep: int | None, images: Iterable[str] | None = None, *, dry_run: bool = False
) -> list[Garbage]:
    """Removes all files that the newest `keep` generations do not need, and returns them.

    `images` are as in `find`. A dry run removes nothing.
    """
    stay = kept(output, keep)
    garbage = find(output, stay, images)
    if not dry_run:
        remove(output, stay, garbage)
    return garbage


def run_beside_work(output: str, keep: int) -> None:
    """Like `run`, but leaves files that work in progress may need.

    These are the files that no commit names, and all images: a picture may change back, and a shard
    that is being converted then uses a file that no generation needs.
    """
    stay = kept(output, keep)
    named = {part.path for one in _commits(output) for part in _parts(one)}
    garbage = [
        one
        for one in find(output, stay, images=())
        if one.path.removeprefix(f"{layout.REPLACED}/") in named
        or (one.path.startswith(f"{layout.GENERATIONS}/") and one.path.endswith(".json"))
    ]
    remove(output, stay, garbage)


def remove_unnamed(output: str) -> None:
    """Removes the images and replaced files that no commit names: a killed run has left them.

    Each commit is read once and none is held, so this suits a dataset that keeps all generations.
    """
    named, tables = set[str](), set[str]()
    for commit in _commits(output):
        named.update(part.path for part in _parts(commit))
        # Parts of shards may never have been in the dataset, but only in a mix.
        named.update(part.path for one in commit.shards.added for part in one.parts)
        tables.update(part.path for part in commit.images.added)
    named = {f"{layout.REPLACED}/{path}" for path in named}
    named |= image_table.files_of(output, tables)
    for folder in (layout.IMAGES, layout.REPLACED):
        _remove_files(output, [one.path for one in _unneeded(output, folder, named)])


def _commits(output: str) -> Iterator[Commit]:
    """Yields all commits and checkpoints for which there is a file."""
    there = log.numbers(output)
    for numbers, checkpoint in ((there.commits, False), (there.checkpoints, True)):
        for number in numbers:
            if commit := log.read(output, number, checkpoint=checkpoint):
                yield commit


def _parts(commit: Commit) -> tuple[Part, ...]:
    return (*commit.parts.added, *commit.rejects.added, *commit.images.added)


def find(
    output: str, stay: Sequence[Snapshot], images: Iterable[str] | None = None
) -> list[Garbage]:
    """Lists the output folder and returns the files that no kept generation needs.

    `stay` are the generations to keep, oldest first, and `images` the image files that may be
    garbage, or None to list them all.
    """
    found = list(_unneeded_results(output, stay[-1]))
    absent = set(layout.FLAT_FOLDERS) - set(folders(output))
    for folder, paths in _needed(stay).items():
        if folder not in absent:
            found += _unneeded(output, folder, paths)
    if images is None:
        found += _unneeded(output, layout.IMAGES, needed_images(output, stay))
    elif unsure := set(images):
        found += [Garbage(path, 0) for path in unsure - needed_images(output, stay)]
    return sorted(found, key=lambda one: one.path)


def remove(output: str, stay: Sequence[Snapshot], garbage: Iterable[Garbage]) -> None:
    """Removes files. After each removal, all generations that the log still has are whole.

    Therefore commits go first, the newest of them before those that it builds on.
    """
    commits: list[str] = []
    rest: list[str] = []
    for one in garbage:
        is_commit = one.path.startswith(f"{layout.GENERATIONS}/") and one.path.endswith(".json")
        (commits if is_commit else rest).append(one.path)
    first = log.read(output, stay[0].number)
    if commits and first is not None and first.previous != 0:
        log.write_checkpoint(output, stay[0])
    # If a number has both files, the checkpoint goes last: it stands for the commits that are gone.
    for path in sorted(commits, key=_age):
        files.remove_file(files.join(output, path))
    _remove_files(output, rest)


def _remove_files(output: str, paths: Iterable[str]) -> None:
    with ThreadPoolExecutor(REMOVED_AT_ONCE, thread_name_prefix="vacuum") as pool:
        list(pool.map(lambda path: files.remove_file(files.join(output, path)), paths))
    for folder in (layout.IMAGES, layout.REPLACED, layout.WORK, *folders(output)):
        files.prune(files.join(output, folder))


def _age(path: str) -> tuple[int, bool]:
    name = path.rpartition("/")[2]
    return -int(name.partition(".")[0]), "checkpoint" in name


def listed_images(output: str) -> set[str]:
    """Returns the image files that any table of images below the output folder names."""
    names = (name for name, _ in files.find(files.join(output, layout.GENERATIONS)))
    tables = (f"{layout.GENERATIONS}/{name}" for name in names if name.endswith(".parquet"))
    return image_table.files_of(output, tables)


def _needed(stay: Sequence[Snapshot]) -> dict[str, set[str]]:
    """Returns the files that generations need, by folder; see also `needed_images`."""
    newest = stay[-1]
    shards = newest.shards.values()
    live = newest.files()
    older = {path for one in stay[:-1] for path in one.files()}
    written = {part.path for one in shards for part in one.parts}
    moved = older - live
    if newest.made and newest.made.command == WATCH:
        moved |= written - live  # a later commit may mix them again
    logged = {part.path for one in stay for part in one.images}
    for one in stay:
        logged |= {file_name(one.number), file_name(one.number, checkpoint=True)}
    fingerprint = newest.made.fingerprint if newest.made else ""
    names = {
        layout.REPLACED: moved,
        layout.IMAGE_RESULTS: {f"{name}.parquet" for one in shards for name in one.tables},
        layout.MIXES: {f"{name}.json" for name in newest.mixes},
        # Those of a watch have other names. They are in its commits, so nothing reads them again.
        layout.SUMMARIES: {f"{fingerprint}/{one.stem}.json" for one in shards},
        layout.MISSING: set(),  # only the summary of a conversion needs them
    }
    return {
        layout.GENERATIONS: logged,
        layout.TEXT_ONLY: written,
        layout.UNPACKED: set(),
        # A watch may have been killed before it moved a file of an older generation.
        **dict.fromkeys(layout.FLAT_FOLDERS, live | older),
        **{folder: {f"{folder}/{name}" for name in some} for folder, some in names.items()},
    }


def _unneeded_results(output: str, newest: Snapshot) -> Iterator[Garbage]:
    """Yields results of shards and chunks that the newest generation does not use."""
    stems = {one.stem for one in newest.shards.values()}
    # The offset of a chunk and the hash of its outcomes follow the stem.
    for folder, more in ((layout.SPLITS, 0), (layout.REQUESTS, 1), (layout.OUTPUTS, 2)):
        for name, file in files.find(files.join(output, folder)):
            if name.removesuffix(".json").rsplit("-", more)[0] not in stems:
                yield Garbage(f"{folder}/{name}", file.size)


def _unneeded(output: str, folder: str, needed: set[str]) -> Iterator[Garbage]:
    for name, file in files.find(files.join(output, folder)):
        if f"{folder}/{name}" not in needed:
            yield Garbage(f"{folder}/{name}", file.size)


def needed_images(output: str, snapshots: Sequence[Snapshot]) -> set[str]:
    """Returns the image files that generations need.

    These are the files in their image tables. In a generation of a watch, rows can use an older
    picture than the table until their shard is reprocessed, so the rows are read too.
    """
    needed: set[str] = set()
    parts: dict[str, Part] = {}
    for tables in {one.images for one in snapshots}:
        table = image_table.read(output, tables, ["path", "file"])
        needed.update(path for path in table["file"].to_pylist() if path is not None)
    for one in snapshots:
        if one.made and one.made.command == WATCH:
            parts.update((part.path, part) for part in one.parts())
    formats = {part.format for part in parts.values()}
    for part in parts.values():
        if part.format == (PARQUET if PARQUET in formats else part.format):
            rows = read_rows(output, part, RowImages)
            needed.update(path for row in rows for path in row.images)
    return needed
