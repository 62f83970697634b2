"""Text-only rows are mixed with image rows, and mixes that still hold are left alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from beam_mat.core import layout
from beam_mat.core.results import Part, ShardSummary
from beam_mat.dataset.commit import Commit, Snapshot
from beam_mat.dataset.mixes import all_jobs, plan_mixes
from tests.dataset.made import content, how, mix_of, shard
from tests.properties import examples

few = settings(max_examples=examples(30))


def take(found: Snapshot, *new: ShardSummary, gone: str = "") -> Commit:
    """Commits shards as a watch does."""
    shards = {**found.shards, **{one.uri: one for one in new}}
    shards.pop(gone, None)
    kept, jobs = plan_mixes(shards.values(), found.mixes.values())
    mixes = [*kept.values(), *map(mix_of, jobs)]
    commit = found.next(how(command="watch"), content(shards.values(), mixes=mixes))
    found.apply(commit)
    return commit


def paths(parts: tuple[Part, ...] | list[Part]) -> list[str]:
    return [one.path for one in parts]


def test_text_only_rows_are_alone_until_images_come() -> None:
    found = Snapshot()
    alone = take(found, shard("t", images=0, texts=3))
    assert paths(alone.parts.added) == ["jsonl/train-t-1-0.jsonl"]
    mixed = take(found, shard("a", images=2))
    assert "jsonl/train-t-1-0.jsonl" in paths(mixed.parts.removed)
    assert all(one.image_rows for one in found.parts())
    assert sum(one.rows for one in found.parts()) == 5


def test_a_mix_that_holds_is_left_alone() -> None:
    found = Snapshot()
    take(found, shard("a", images=2), shard("t", images=0, texts=3))
    before = set(paths(found.parts()))
    later = take(found, shard("b", images=2), shard("u", images=0, texts=3))
    assert later.parts.removed == ()
    assert before <= set(paths(found.parts()))
    assert len(found.mixes) == 2


def test_all_mixes_of_a_split_are_made_anew_where_no_unit_is_free() -> None:
    found = Snapshot()
    take(found, shard("a", images=2), shard("t", images=0, texts=3))
    later = take(found, shard("u", images=0, texts=3))
    assert len(later.parts.removed) == 2
    assert sum(one.rows for one in found.parts()) == 8


def test_a_mix_of_a_shard_that_changed_does_not_hold() -> None:
    found = Snapshot()
    take(found, shard("a", images=2), shard("t", images=0, texts=3))
    take(found, shard("a", "2", images=1))
    (mix,) = found.mixes.values()
    assert mix.job.base is not None
    assert mix.job.base.name == "a-2-0"
    assert sum(one.rows for one in found.parts()) == 4


def test_a_conversion_plans_all_mixes() -> None:
    shards = [shard("a", images=2), shard("t", images=0, texts=3), shard("u", images=0, texts=1)]
    (job,) = all_jobs(shards)
    assert [unit.name for unit in job.inputs()] == ["a-1-0", "t-1-0", "u-1-0"]
    assert all_jobs([shard("a")]) == []
    assert [job.base for job in all_jobs(shards[1:])] == [None, None]
    kept, jobs = plan_mixes(shards, ())
    assert (kept, jobs) == ({}, [job]), "as a watch plans them where there are none"


COMMITS = st.lists(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.integers(0, 2), st.integers(0, 3)),
        min_size=1,
        max_size=3,
        unique_by=lambda one: one[0],
    ),
    min_size=1,
    max_size=6,
)


@few
@given(COMMITS)
def test_whatever_comes_every_row_is_in_one_live_part(
    commits: list[list[tuple[str, int, int]]],
) -> None:
    found = Snapshot()
    live: dict[str, Part] = {}
    for version, some in enumerate(commits, 1):
        commit = take(found, *(shard(name, str(version), *rows) for name, *rows in some))
        for gone in commit.parts.removed:
            assert live.pop(gone.path) == gone
        for new in commit.parts.added:
            assert new.path not in live
            live[new.path] = new
    last = {name: (images, texts) for some in commits for name, images, texts in some}
    assert sorted(live) == paths(found.parts())
    assert sum(one.rows for one in live.values()) == sum(map(sum, last.values()))
    if any(images for images, _ in last.values()):
        # Wherever there are images at all, no part is without: see beam_mat.core.mix.
        assert all(one.image_rows for one in live.values())
    assert not any(path.startswith(layout.TEXT_ONLY) for path in live)
