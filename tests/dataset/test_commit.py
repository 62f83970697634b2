"""The fold: what a dataset is after so many commits, whatever they were."""

from __future__ import annotations

import copy

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core.errors import LostRecordError
from beam_mat.core.reject import Reason
from beam_mat.core.results import Broken, Part, RejectCount
from beam_mat.core.settings import FORMAT
from beam_mat.core.statistics import PixelBoxes, Statistics
from beam_mat.dataset.commit import (
    Commit,
    Content,
    Delta,
    ImageTotals,
    Snapshot,
    counts_of,
    file_name,
    in_order,
)
from tests.dataset.made import commits_of, content, how, part, shard, source
from tests.properties import examples

few = settings(max_examples=examples(25))

SHARDS = st.dictionaries(
    st.sampled_from("abcd"),
    st.tuples(st.sampled_from("123"), st.integers(0, 2), st.integers(0, 3), st.integers(0, 1)),
    max_size=4,
).map(lambda some: [shard(name, *values) for name, values in some.items()])
TABLES = st.lists(st.sampled_from("tuvw"), max_size=4, unique=True).map(
    lambda names: [part(f"generations/{name}.images.parquet", split="images") for name in names]
)
SOURCES = st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3).map(
    lambda some: [source(name, version) for name, version in some.items()]
)
CONTENTS = st.builds(content, SHARDS, TABLES, SOURCES)
LOGS = st.lists(CONTENTS, min_size=1, max_size=4)


def read_back(commit: Commit) -> Commit:
    """As it is after it was written to a file."""
    return msgspec.json.decode(msgspec.json.encode(commit), type=Commit)


def fold(commits: list[Commit]) -> Snapshot:
    found = Snapshot()
    for commit in commits:
        found.apply(read_back(commit))
    return found


def equal(found: Snapshot, wanted: Content) -> bool:
    return found.is_content(wanted) and found.counts == wanted.counts


@few
@given(LOGS)
def test_the_fold_of_all_commits_is_the_last_content(contents: list[Content]) -> None:
    commits = commits_of(contents)
    for number, one in enumerate(contents, 1):
        found = fold(commits[:number])
        assert equal(found, one)
        assert (found.number, found.made) == (number, how(f"f{number}"))
    assert [commit.previous for commit in commits] == list(range(len(commits)))


@few
@given(LOGS, st.data())
def test_a_checkpoint_stands_for_all_commits_so_far(
    contents: list[Content], data: st.DataObject
) -> None:
    commits = commits_of(contents)
    number = data.draw(st.integers(1, len(commits)))
    checkpoint = fold(commits[:number]).checkpoint()
    assert (checkpoint.generation, checkpoint.previous) == (number, 0)
    assert checkpoint.made == commits[number - 1].made
    found = fold([checkpoint, *commits[number:]])
    whole = fold(commits)
    assert equal(found, contents[-1])
    assert (found.number, found.lineage, found.made) == (whole.number, whole.lineage, whole.made)
    assert found.checkpoint() == whole.checkpoint()


@few
@given(LOGS)
def test_where_one_generation_stays_commits_build_on_none(contents: list[Content]) -> None:
    commits = commits_of(contents, keep=1)
    for number, (commit, one) in enumerate(zip(commits, contents, strict=True), 1):
        assert (commit.generation, commit.previous) == (number, 0)
        assert equal(fold([commit]), one)
        for changed in (commit.shards, commit.sources, commit.mixes):
            assert not changed.removed
        for files in (commit.parts, commit.rejects, commit.images):
            assert not files.removed


@few
@given(LOGS)
def test_the_files_that_come_and_go_are_exact(contents: list[Content]) -> None:
    live: set[Part] = set()
    for commit, one in zip(commits_of(contents), contents, strict=True):
        added = {*commit.parts.added, *commit.rejects.added}
        removed = {*commit.parts.removed, *commit.rejects.removed}
        assert not added & live
        assert removed <= live
        live = (live - removed) | added
        assert live == {*one.parts(), *one.rejects()}
        assert sum(file.rows for file in live) == sum(it.records for it in one.shards.values())


@few
@given(LOGS)
def test_all_generations_have_one_lineage(contents: list[Content]) -> None:
    commits = commits_of(contents)
    assert len({commit.lineage for commit in commits}) == 1
    assert commits[0].lineage


def test_a_commit_says_what_it_changes_and_no_more() -> None:
    was = content([shard("a"), shard("b"), shard("t", images=0, texts=3)], sources=[source("x")])
    now = content(
        [shard("a"), shard("b", "2", rejected=1), shard("t", images=0, texts=3)],
        sources=[source("x"), source("y", order=1)],
    )
    _, commit = commits_of([was, now])
    assert [one.stem for one in commit.shards.added] == ["b-2"]
    assert commit.shards.removed == ()
    assert [one.uri for one in commit.sources.added] == ["/in/y.zip"]
    assert [one.path for one in commit.rejects.added] == ["rejects/b-2-0.jsonl"]
    assert commit.format == FORMAT
    _, gone = commits_of([was, content([shard("a")])])
    assert gone.shards.removed == ("/in/b.json", "/in/t.json")
    assert gone.sources.removed == ("/in/x.zip",)
    assert set(gone.mixes.removed) == set(was.mixes)


def test_nothing_changes_where_the_content_is_the_same() -> None:
    one = content([shard("a"), shard("t", images=0, texts=2)], [part("i")], [source("x")])
    _, commit = commits_of([one, one])
    empty = msgspec.structs.replace(
        commit,
        shards=Delta(),
        sources=Delta(),
        parts=Delta(),
        mixes=Delta(),
    )
    assert commit == empty
    assert commit.images.added == commit.images.removed == ()


def test_tables_of_images_stay_in_order() -> None:
    a, b, c = (part(f"generations/{name}.images.parquet") for name in "abc")
    for tables in ([a, b, c], [c, b, a], [b, c, a], [c], [b, a]):
        commits = commits_of([content([], [a, b]), content([], tables)])
        assert list(fold(commits).images) == tables, [one.path for one in tables]


def test_a_table_that_comes_again_counts_last() -> None:
    """A picture that changes back gives a table that the dataset has already."""
    a, b = (part(f"generations/{name}.images.parquet") for name in "ab")
    commits = commits_of([content([], [a]), content([], [a, b]), content([], [a, b, a])])
    assert fold(commits).images == (b, a)
    found = fold(commits[:2])
    assert found.images == (a, b)
    found.apply(commits[2])
    assert found.is_content(content([], [a, b, a]))


def test_a_commit_applies_to_the_generation_that_it_builds_on() -> None:
    first, second = commits_of([content([shard("a")]), content([shard("b")])])
    found = fold([first, second])
    with pytest.raises(ValueError, match="generation 2 builds on 1, not on 2"):
        found.apply(second)
    with pytest.raises(ValueError, match="generation 2 builds on 1, not on 0"):
        Snapshot().apply(second)
    found.apply(first)  # builds on none
    assert (found.number, list(found.shards)) == (1, ["/in/a.json"])


def test_a_copy_goes_on_alone() -> None:
    first, second = commits_of([content([shard("a")], [part("i")]), content([shard("b")])])
    found = fold([first])
    other = copy.copy(found)
    other.apply(second)
    assert (found.number, list(found.shards), found.images) == (1, ["/in/a.json"], (part("i"),))
    assert (other.number, list(other.shards), other.images) == (2, ["/in/b.json"], ())


def test_a_commit_after_a_generation_that_cannot_be_read_builds_on_none() -> None:
    found = Snapshot(number=8)
    commit = found.next(how(), content([shard("c")]))
    assert (commit.generation, commit.previous) == (9, 0)
    assert [one.stem for one in commit.shards.added] == ["c-1"]


def test_rows_that_are_lost_are_not_committed() -> None:
    lost = msgspec.structs.replace(shard("a", images=2), accepted=3, records=3)
    with pytest.raises(LostRecordError, match="3 records accepted, 2 rows in jsonl"):
        Snapshot().next(how(), content([lost]))


def test_rows_that_are_set_aside_are_not_committed() -> None:
    texts = shard("t", images=0, texts=2)
    with pytest.raises(LostRecordError, match=r"text-only/jsonl/.*rows have not been mixed"):
        Snapshot().next(how(), content([texts], mixes=[]))


def test_files_are_named_by_number() -> None:
    assert file_name(1_234_567) == "generations/1234567.json"
    assert file_name(1_234_567, checkpoint=True) == "generations/1234567.checkpoint.json"


def test_shards_and_sources_have_the_order_of_the_inputs() -> None:
    shards = [shard("b", order=0), shard("a", order=1), shard("c", order=0)]
    found = fold(commits_of([content(shards, [], [source("y", order=0), source("x", order=1)])]))
    assert [one.stem for one in in_order(found.shards.values())] == ["b-1", "c-1", "a-1"]
    assert [one.uri for one in in_order(found.sources.values())] == ["/in/y.zip", "/in/x.zip"]


def test_a_dataset_without_shards_has_no_files() -> None:
    found = fold(commits_of([content([])]))
    assert found.parts() == found.rejects() == []
    assert found.files() == set()


def test_counts_are_sums_over_shards_and_images() -> None:
    boxes = Statistics(pixel_boxes=PixelBoxes(2, ("x",)))
    a, b = (shard(name, rejected=2, respelled=3, statistics=boxes) for name in "ab")
    b = msgspec.structs.replace(b, broken=Broken(10, 40, 30, "cut off"))
    assert counts_of([b, a], ImageTotals({"kept": 2, "image_missing": 1}, 6, 4, {"turned": 1})) == {
        "records": 6,
        "accepted": 2,
        "rejected": 4,
        "rejected_by_reason": {"not_an_object": 4},
        "unread_bytes": 30,
        "respelled_words": 6,
        "schemas": {"mat": 2},
        "changes": {},
        "unknown_keys": {},
        "image_uses": 2,
        "records_with_pixel_boxes": 4,
        "images": {"kept": 2, "image_missing": 1},
        "image_notes": {"turned": 1},
        "image_source_bytes": 6,
        "image_bytes": 4,
    }
    none = counts_of([], ImageTotals({}, 0, 0))
    assert (none["records"], none["accepted"], none["rejected_by_reason"]) == (0, 0, {})


def test_counted_reasons_have_the_order_of_the_enumeration() -> None:
    made = shard("a", rejected=1)
    reasons = [Reason.IMAGE_MISSING, Reason.NO_ID]
    counts = tuple(RejectCount(reason, 1, made.rejected[0].first) for reason in reasons)
    made = msgspec.structs.replace(made, rejected=counts)
    ordered = [reason.value for reason in Reason if reason in reasons]
    assert list(counts_of([made], ImageTotals({}, 0, 0))["rejected_by_reason"]) == ordered
