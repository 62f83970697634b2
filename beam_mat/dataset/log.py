"""The log of commits. Each number is written by exactly one writer."""

import re
from collections.abc import Iterator

import msgspec

from beam_mat.core import layout
from beam_mat.core.errors import ConfigError
from beam_mat.dataset.commit import Commit, Content, Made, Snapshot, file_name
from beam_mat.storage import files
from beam_mat.work import results


class MissingCommitError(ConfigError):
    """A commit that another one builds on is missing."""


_NAME = re.compile(r"(\d{6,})(\.checkpoint)?\.json")


class Numbers(msgspec.Struct, frozen=True):
    """The generations for which there is a commit or a checkpoint; their numbers, ascending."""

    commits: tuple[int, ...] = ()
    checkpoints: tuple[int, ...] = ()

    @property
    def all(self) -> list[int]:
        """The generations that have either, ascending."""
        return sorted({*self.commits, *self.checkpoints})

    @property
    def newest(self) -> int:
        """The newest generation, or 0."""
        return max((*self.commits, *self.checkpoints), default=0)


def numbers(output: str) -> Numbers:
    """Lists the generations for which there is a file."""
    names = (name for name, _ in files.find(files.join(output, layout.GENERATIONS)))
    found = [match for match in map(_NAME.fullmatch, names) if match]
    return Numbers(
        tuple(sorted(int(one[1]) for one in found if not one[2])),
        tuple(sorted(int(one[1]) for one in found if one[2])),
    )


def read(output: str, number: int, *, checkpoint: bool = False) -> Commit | None:
    """Returns a commit, or None if there is no file. Raises as `results.read_stored`."""
    uri = files.join(output, file_name(number, checkpoint=checkpoint))
    return results.read_stored(uri, "commit", Commit)


def snapshot(output: str, number: int | None = None) -> Snapshot:
    """Returns the dataset at a generation, or at the newest.

    Raises ConfigError if there is no such generation, or a commit that it builds on is missing.
    """
    there = numbers(output)
    wanted = there.newest if number is None else number
    found = Snapshot()
    if wanted == 0 and number is None:
        return found
    if wanted not in there.all:
        fault = "there is no dataset here; create one with beam-mat convert or watch"
        if known := there.all:
            fault = f"this generation does not exist; choose one from {known[0]} to {known[-1]}"
        raise ConfigError([f"{output}@{wanted}: {fault}"])
    for commit in chain(output, there, wanted):
        found.apply(commit)
    return found


def chain(output: str, there: Numbers, number: int) -> list[Commit]:
    """Returns the commits that make up a generation, oldest first, or raises MissingCommitError."""
    commits: list[Commit] = []
    at = number
    while not commits or at:
        found = read(output, at, checkpoint=True) if at in there.checkpoints else None
        found = found or read(output, at)
        if found is None or found.previous >= at:  # a damaged file may name itself
            fault = f"is missing or damaged, and generation {number} builds on it"
            cure = "restore the file, or run beam-mat convert, which starts a new log"
            raise MissingCommitError([f"{files.join(output, file_name(at))}: {fault}; {cure}"])
        commits.append(found)
        at = found.previous
    return commits[::-1]


def commits(output: str) -> Iterator[Commit]:
    """Yields all commits for which there is a file, oldest first."""
    for number in numbers(output).commits:
        if found := read(output, number):
            yield found


def catch_up(output: str, found: Snapshot) -> Iterator[Commit]:
    """Applies all commits after a snapshot to it, and yields them."""
    while commit := read(output, found.number + 1):
        found.apply(commit)
        yield commit


def append(output: str, snapshot: Snapshot, made: Made, content: Content) -> Commit | None:
    """Appends a commit to the log and applies it to the snapshot of the newest generation.

    Returns None if another writer has committed a generation of this number.
    """
    commit = snapshot.next(made, content)
    if not write(output, commit):
        return None
    snapshot.apply(commit)
    return commit


def write(output: str, commit: Commit) -> bool:
    """Writes a commit, and returns whether there was none of its number.

    If several writers try at once, one succeeds.
    """
    data = msgspec.json.format(msgspec.json.encode(commit), indent=1) + b"\n"
    return files.create(files.join(output, file_name(commit.generation)), data)


def write_checkpoint(output: str, found: Snapshot) -> None:
    """Writes the checkpoint of a snapshot."""
    uri = files.join(output, file_name(found.number, checkpoint=True))
    files.create(uri, msgspec.json.encode(found.checkpoint()))
