"""The log on every kind of store: read in order, and each number written by one writer alone."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import msgspec
import pytest

from beam_mat.core.errors import ConfigError
from beam_mat.dataset import log
from beam_mat.dataset.commit import Commit, Snapshot, file_name
from beam_mat.dataset.log import MissingCommitError, Numbers
from beam_mat.storage import files
from tests.dataset.made import commits_of, content, part, put, shard


def written(output: str, count: int, keep: int | None = None) -> list[Commit]:
    """A log of so many commits, each of which adds a shard."""
    shards = [shard(f"s{number}") for number in range(count)]
    contents = [
        content(shards[: number + 1], [part(f"generations/{at}") for at in range(number + 1)])
        for number in range(count)
    ]
    commits = commits_of(contents, keep)
    for commit in commits:
        assert log.write(output, commit)
    return commits


def checkpoint(output: str, number: int) -> None:
    log.write_checkpoint(output, log.snapshot(output, number))


def lose(output: str, number: int) -> None:
    files.remove_file(files.join(output, file_name(number)))


def names(found: Snapshot) -> list[str]:
    return [one.stem for one in found.shards.values()]


def test_commits_come_back(root: str) -> None:
    commits = written(root, 3)
    assert list(log.commits(root)) == commits
    assert log.read(root, 2) == commits[1]
    assert log.read(root, 4) is None
    assert log.read(root, 2, checkpoint=True) is None


def test_numbers_are_listed(root: str) -> None:
    assert log.numbers(root) == Numbers()
    assert log.numbers(root).newest == 0
    written(root, 3)
    checkpoint(root, 2)
    for name in ("0123456789abcdef.images.parquet", "12.json", "000007.json.tmp", "x.json"):
        put(root, f"generations/{name}")
    found = log.numbers(root)
    assert found == Numbers((1, 2, 3), (2,))
    assert found.newest == 3
    assert found.all == [1, 2, 3]
    other = Numbers((1,), (5,))
    assert (other.all, other.newest) == ([1, 5], 5)


def test_a_snapshot_is_the_fold(root: str) -> None:
    commits = written(root, 3)
    found = Snapshot()
    for number, commit in enumerate(commits, 1):
        found.apply(commit)
        assert log.snapshot(root, number) == found
    assert log.snapshot(root).number == 3
    assert names(log.snapshot(root, 2)) == ["s0-1", "s1-1"]


def test_an_empty_log_has_an_empty_snapshot(root: str) -> None:
    found = log.snapshot(root)
    assert (found.number, found.made, found.files()) == (0, None, set())


def test_a_generation_that_is_not_there_is_an_error_with_the_range(root: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(root)}@1: there is no dataset here"):
        log.snapshot(root, 1)
    written(root, 3)
    for number in (0, 4):
        with pytest.raises(
            ConfigError, match=f"@{number}: this generation does not exist; choose one from 1 to 3"
        ):
            log.snapshot(root, number)
    checkpoint(root, 2)
    lose(root, 1)
    lose(root, 2)
    with pytest.raises(
        ConfigError, match="@1: this generation does not exist; choose one from 2 to 3"
    ):
        log.snapshot(root, 1)


def test_a_missing_commit_is_named(root: str) -> None:
    written(root, 3)
    lose(root, 2)
    with pytest.raises(
        MissingCommitError, match=r"000002\.json: is missing or damaged, and generation 3"
    ):
        log.snapshot(root)
    assert log.snapshot(root, 1).number == 1
    assert issubclass(MissingCommitError, ConfigError)


def test_a_checkpoint_stands_for_the_commits_below(root: str) -> None:
    commits = written(root, 4)
    checkpoint(root, 2)
    before = {number: log.snapshot(root, number) for number in (2, 3, 4)}
    lose(root, 1)
    lose(root, 2)
    for number, wanted in before.items():
        assert log.snapshot(root, number) == wanted
    found = log.chain(root, log.numbers(root), 4)
    assert [commit.generation for commit in found] == [2, 3, 4]
    assert [commit.previous for commit in found] == [0, 2, 3]
    assert found[1:] == commits[2:]


def test_the_newest_checkpoint_is_read_and_nothing_below(root: str) -> None:
    written(root, 5)
    checkpoint(root, 2)
    checkpoint(root, 4)
    found = log.chain(root, log.numbers(root), 5)
    assert [commit.generation for commit in found] == [4, 5]


def test_a_commit_that_builds_on_none_needs_no_other(root: str) -> None:
    written(root, 3, keep=1)
    lose(root, 1)
    lose(root, 2)
    assert names(log.snapshot(root)) == ["s0-1", "s1-1", "s2-1"]


def test_a_checkpoint_is_written_once(root: str) -> None:
    written(root, 2)
    checkpoint(root, 2)
    uri = files.join(root, file_name(2, checkpoint=True))
    before = files.read_bytes(uri)
    checkpoint(root, 2)
    assert files.read_bytes(uri) == before


def test_new_commits_are_caught_up_with(root: str) -> None:
    commits = written(root, 3)
    found = log.snapshot(root, 1)
    assert list(log.catch_up(root, found)) == commits[1:]
    assert found.number == 3
    assert list(log.catch_up(root, found)) == []


def test_a_number_is_written_once(root: str) -> None:
    (first,) = written(root, 1)
    (other,) = commits_of([content([shard("other")])])
    assert not log.write(root, other)
    assert log.read(root, 1) == first


def test_of_writers_at_the_same_time_one_wins(tmp_path: Path) -> None:
    output = str(tmp_path)
    commits = [commits_of([content([shard(f"w{number}")])])[0] for number in range(8)]
    start, won = threading.Barrier(len(commits)), list[Commit]()

    def write(commit: Commit) -> None:
        start.wait()
        if log.write(output, commit):
            won.append(commit)

    threads = [threading.Thread(target=write, args=(commit,)) for commit in commits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == list(log.commits(output))
    assert len(won) == 1


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, checkpoint: bool) -> None:
    name = file_name(1, checkpoint=checkpoint)
    put(str(tmp_path), name, b'{"format": 3, "generation"')
    with pytest.raises(ConfigError, match=rf"{name}: this version of beam-mat cannot read"):
        log.snapshot(str(tmp_path))


def test_another_layout_is_named(tmp_path: Path) -> None:
    (commit,) = commits_of([content([shard("a")])])
    other = msgspec.structs.replace(commit, format=2)
    assert log.write(str(tmp_path), other)
    with pytest.raises(
        ConfigError,
        match=r"000001\.json: has layout version 2, but this version of beam-mat uses 3",
    ):
        log.snapshot(str(tmp_path))
