"""The flat folders hold the files of the newest generation, wherever these were."""

from __future__ import annotations

from pathlib import Path

import pytest

from beam_mat.core import layout
from beam_mat.dataset import flat
from beam_mat.dataset.commit import Commit, Snapshot
from tests.dataset.made import commits_of, content, part, put, shard, there

A, B = "jsonl/train-a-1-0.jsonl", "jsonl/train-b-1-0.jsonl"
A2, REJECTS = "jsonl/train-a-2-0.jsonl", "rejects/a-1-0.jsonl"


def log_of(*stems: list[str]) -> tuple[Snapshot, list[Commit]]:
    """A snapshot after commits of shards, given as NAME-VERSION."""
    contents = [
        content([shard(stem[0], stem[2:], rejected=int(stem == "a-1")) for stem in some])
        for some in stems
    ]
    commits = commits_of(contents)
    found = Snapshot()
    for commit in commits:
        found.apply(commit)
    return found, commits


@pytest.mark.parametrize("keep", [True, False])
def test_files_are_arranged(root: str, keep: bool) -> None:
    for path in (A, f"{layout.REPLACED}/{B}", A2, "parquet_val/stray.parquet"):
        put(root, path)
    aside = put(root, f"{layout.TEXT_ONLY}/jsonl/train-t.jsonl")
    found, _ = log_of(["a-1", "b-1"])
    assert flat.arrange(root, found, keep=keep) == [REJECTS], "this one is nowhere"
    assert there(root, *layout.FLAT_FOLDERS) == {A, B}
    moved = {f"{layout.REPLACED}/{A2}", f"{layout.REPLACED}/parquet_val/stray.parquet"}
    assert there(root, layout.REPLACED) == (moved if keep else set())
    assert aside in there(root)


def test_arranging_twice_changes_nothing(root: str) -> None:
    for path in (A, B, A2, REJECTS):
        put(root, path)
    found, _ = log_of(["a-1", "b-1"])
    assert flat.arrange(root, found, keep=True) == []
    before = there(root)
    assert flat.arrange(root, found, keep=True) == []
    assert there(root) == before


def test_empty_folders_go(tmp_path: Path) -> None:
    put(str(tmp_path), "parquet/stray.parquet")
    flat.arrange(str(tmp_path), Snapshot(), keep=False)
    assert not (tmp_path / "parquet").exists()


def test_a_commit_s_files_come_back(root: str) -> None:
    found, commits = log_of(["b-1"], ["a-1", "b-1"])
    for path in (f"{layout.REPLACED}/{A}", f"{layout.REPLACED}/{REJECTS}", B):
        put(root, path)
    flat.restore(root, commits[-1])
    assert there(root) == found.files() == {A, B, REJECTS}


def test_what_is_there_is_not_overwritten_by_what_was_moved(root: str) -> None:
    put(root, A, b"new")
    put(root, f"{layout.REPLACED}/{A}", b"old")
    _, commits = log_of(["a-1"])
    flat.restore(root, commits[0])
    assert there(root) == {A, f"{layout.REPLACED}/{A}"}


def test_replaced_files_are_moved(root: str) -> None:
    found, commits = log_of(["a-1", "b-1"], ["a-2", "b-1"])
    for path in (A, A2, B, REJECTS):
        put(root, path)
    for _ in range(2):  # a second time nothing is left to do
        flat.retire(root, commits[-1], found.files())
        assert there(root) == {
            A2,
            B,
            f"{layout.REPLACED}/{A}",
            f"{layout.REPLACED}/{REJECTS}",
        }


def test_parts_that_were_mixed_are_moved(root: str) -> None:
    wanted = content([shard("a", images=2), shard("t", images=0, texts=2)])
    (commit,) = commits_of([wanted])
    found = Snapshot()
    found.apply(commit)
    aside = put(root, f"{layout.TEXT_ONLY}/jsonl/train-t-1-0.jsonl")
    put(root, A)
    for path in found.files():
        put(root, path)
    flat.retire(root, commit, found.files())
    assert there(root, *layout.FLAT_FOLDERS) == found.files()
    assert there(root, layout.REPLACED) == {f"{layout.REPLACED}/{A}"}
    assert aside in there(root), "a later commit may mix it again"


def test_files_of_shards_that_changed_are_removed(root: str) -> None:
    live = {put(root, A), put(root, "rejects/a-1-0.jsonl")}
    strays = [
        put(root, path)
        for path in ("jsonl/train-a-1-1.jsonl", "rejects/a-1-1.jsonl", "parquet/val-a-1-0.parquet")
    ]
    other = put(root, "jsonl/train-c-1-0.jsonl")
    flat.remove_unlisted(root, [], live)
    assert set(strays) <= there(root)
    flat.remove_unlisted(root, ["a-1"], live)
    assert there(root) == {*live, other}


def test_a_part_keeps_its_path_below_replaced(root: str) -> None:
    found, commits = log_of(["a-1"], [])
    for one in commits[0].parts.added:
        put(root, one.path)
    flat.retire(root, commits[1], found.files())
    (data,) = commits[0].parts.added
    assert data == part(A, 1, 1)
    assert f"{layout.REPLACED}/{data.path}" in there(root)
