"""Which files are let in: new ones, whole ones, and no more than there is room for."""

from __future__ import annotations

import os
import string
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.chunk import Shard
from beam_mat.core.results import Source
from beam_mat.watch.arrivals import MAX_BYTES, MAX_FILES, Arrivals, order_of


def found(name: str, size: int = 1, version: str = "1", *, whole: bool = True) -> Shard:
    """A shard on an object store, where files appear whole, or on a disk."""
    return Shard(f"gs://b/{name}" if whole else name, 0, size, version)


def arriving(max_bytes: int = MAX_BYTES) -> Arrivals[Shard]:
    return Arrivals(Shard, (), max_bytes)


def names(files: Iterable[Shard]) -> list[str]:
    return [file.uri.rpartition("/")[2] for file in files]


def look(arrivals: Arrivals[Shard], files: Iterable[Shard], now: float) -> None:
    arrivals.listed = {file.uri: file for file in files}
    arrivals.update(now)


def test_a_file_that_appears_whole_is_let_in_at_once_and_once() -> None:
    arrivals = arriving()
    for _ in range(3):
        look(arrivals, [found("a")], 0.0)
    assert arrivals.release(1.0, 0.0) == [found("a")]
    look(arrivals, [found("a")], 2.0)
    assert arrivals.release(3.0, 9.0) == []


def test_a_name_that_is_not_utf_8_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (b"a.json", b"z\xff.json"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"[]")
    arrivals = Arrivals(Shard, [f"{tmp_path}/*.json"])
    for _ in range(2):
        arrivals.scan()
        assert not arrivals.notice(f"{tmp_path}/{os.fsdecode(b'z')}\udcff.json")
        arrivals.update(0.0)
    assert [Path(uri).name for uri in arrivals.listed] == ["a.json"]
    assert arrivals.unsettled() == 0
    assert len(caplog.records) == 1
    assert "left out: the name is not UTF-8" in caplog.text


def test_a_file_that_grows_is_left_alone_until_two_looks_agree() -> None:
    arrivals = arriving()
    for size in (1, 2, 3):
        look(arrivals, [found("a", size, whole=False)], 0.0)
        assert arrivals.release(1.0, 0.0) == []
        assert arrivals.unsettled() == 1
    look(arrivals, [found("a", 3, "later", whole=False)], 0.0)
    assert arrivals.release(1.0, 0.0) == []
    look(arrivals, [found("a", 3, "later", whole=False)], 0.0)
    assert [one.size for one in arrivals.release(1.0, 0.0)] == [3]


def test_a_new_version_is_new_and_one_that_is_in_the_dataset_is_not() -> None:
    arrivals = arriving()
    arrivals.mark_done("gs://b/a", (1, "1"))
    look(arrivals, [found("a")], 0.0)
    assert arrivals.release(1.0, 0.0) == []
    look(arrivals, [found("a", 2, "2")], 0.0)
    assert arrivals.release(1.0, 0.0) == [found("a", 2, "2")]


def test_a_version_that_is_replaced_while_it_waits_is_not_let_in() -> None:
    arrivals = arriving()
    look(arrivals, [found("a")], 5.0)
    look(arrivals, [found("a", 2, "2")], 6.0)
    assert arrivals.oldest() == 5.0
    assert arrivals.release(1.0, 0.0) == [found("a", 2, "2")]


def test_what_is_removed_is_waited_for_no_more_and_is_new_when_it_comes_back() -> None:
    arrivals = arriving()
    look(arrivals, [found("a")], 0.0)
    arrivals.release(1.0, 0.0)
    look(arrivals, [], 1.0)
    assert arrivals.oldest() is None
    look(arrivals, [found("a")], 2.0)
    assert arrivals.release(3.0, 2.0) == [found("a")]


def test_what_is_in_the_dataset_is_let_in_again_when_its_images_have_come() -> None:
    arrivals = arriving()
    arrivals.mark_done("gs://b/a", (1, "1"))
    look(arrivals, [found("a")], 0.0)
    arrivals.requeue(found("a"), 1.0)
    assert arrivals.release(1.0, 0.0) == [found("a")]
    assert arrivals.unprocessed(1.0) == 1
    arrivals.mark_done("gs://b/a", (1, "1"))
    assert arrivals.oldest() is None


def test_a_large_file_is_let_in_alone() -> None:
    arrivals = arriving(max_bytes=10)
    look(
        arrivals,
        [
            found("a", 4),
            found("b", 99),
            found("c", 4),
            found("d", 4),
        ],
        0.0,
    )
    assert names(arrivals.release(1.0, 0.0)) == ["a"]
    assert arrivals.release(2.0, 1.0) == []  # what was let in at 1 is not known to be done
    assert names(arrivals.release(3.0, 1.5)) == ["b"]
    assert names(arrivals.release(4.0, 3.5)) == ["c", "d"]


@given(
    st.lists(
        st.dictionaries(st.sampled_from(string.ascii_lowercase[:6]), st.integers(1, 4), max_size=6),
        max_size=12,
    ),
    st.integers(1, 6),
)
def test_in_the_end_the_last_version_of_each_file_has_been_let_in(
    looks: list[dict[str, int]], max_bytes: int
) -> None:
    arrivals = arriving(max_bytes=max_bytes)
    let_in: dict[str, Shard] = {}
    at = 0.0
    steps = [*looks, *([looks[-1]] * 20 if looks else [])]
    for listing in steps:
        at += 1.0
        there = [found(uri, size, str(size), whole=False) for uri, size in listing.items()]
        look(arrivals, there, at)
        out = arrivals.release(at, at - 0.5)
        busy = sum(one.size for one in out)
        assert len(out) <= MAX_FILES
        assert busy <= max_bytes or len(out) == 1
        let_in.update((one.uri, one) for one in out)
        for one in out:
            arrivals.mark_done(one.uri, (one.size, one.version))
    last = looks[-1] if looks else {}
    assert {uri: let_in[uri].size for uri in last} == last


def test_what_is_worked_on_is_let_in_once_more_only_when_that_is_over() -> None:
    arrivals = arriving()
    arrivals.mark_done("gs://b/a", (1, "1"))
    arrivals.requeue(found("a"), 0.0)
    assert arrivals.release(1.0, 0.0) == [found("a")]
    arrivals.requeue(found("a"), 2.0)
    assert arrivals.release(3.0, 9.0) == []
    arrivals.mark_done("gs://b/a", (1, "1"))
    assert arrivals.release(4.0, 9.0) == [found("a")]


def test_pieces_of_an_archive_arrive_as_one(tmp_path: Path) -> None:
    for name in ("a.zip.part_aa", "a.zip.part_ab", "b.z01", "b.zip", "c.tar"):
        (tmp_path / name).write_bytes(b"12345")
    arrivals = Arrivals(Source, [f"{tmp_path}/*.zip", f"{tmp_path}/*"])
    arrivals.scan()
    sizes = {Path(uri).name: (one.size, one.order) for uri, one in arrivals.listed.items()}
    assert sizes == {"a.zip.part_aa": (10, 1), "b.zip": (10, 0), "c.tar": (5, 1)}
    before = arrivals.listed
    (tmp_path / "b.z01").write_bytes(b"123456")
    arrivals.scan()
    changed = {Path(uri).name for uri, one in arrivals.listed.items() if one != before[uri]}
    assert changed == {"b.zip"}
    arrivals.notice(str(tmp_path / "a.zip.part_ab"))
    assert arrivals.listed[str(tmp_path / "a.zip.part_aa")].size == 10


def test_pieces_of_shards_are_files_of_their_own(tmp_path: Path) -> None:
    for name in ("train.part-00000", "train.part-00001"):
        (tmp_path / name).write_bytes(b"{}")
    arrivals = Arrivals(Shard, [f"{tmp_path}/*"])
    arrivals.scan()
    assert len(arrivals.listed) == 2


def test_hidden_files_match_no_pattern() -> None:
    for name in ("._a.json", ".hidden/a.json", "__MACOSX/a.json"):
        assert order_of(f"gs://b/in/{name}", ["gs://b/in/*.json", "gs://b/in/**"]) is None
    assert order_of("gs://b/in/x/a.json", ["gs://b/in/*.json", "gs://b/in/**"]) == 1
