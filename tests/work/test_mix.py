"""Mixes: planned, left alone where they still hold, and found again where the files are there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from beam_mat.core import layout
from beam_mat.core.mix import plan
from beam_mat.core.results import MixJob, MixOutput, Part, ShardSummary, Unit
from beam_mat.core.settings import Settings
from beam_mat.core.trajectory import Trajectory, Turn
from beam_mat.dataset.commit import Commit, Snapshot
from beam_mat.storage import files, parts
from beam_mat.work import results
from beam_mat.work.mix import mix, plan_mixes
from tests import outputs as dataset
from tests.dataset.made import content, how, mix_of, shard
from tests.making import write_files

IMAGE = "images/a.2d711642b726b044.jpg"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(str(tmp_path), formats=("jsonl",), resume=True)


def unit(settings: Settings, name: str, images: int, texts: int) -> Unit:
    """Writes the rows of a unit."""
    made = Unit(name, "train", images, images + texts)
    turns = (Turn("user", "Why?"), Turn("assistant", "So."))
    rows = [
        parts.row_of(Trajectory(f"{name}{at}", "", turns, (IMAGE,) * (at < images)))
        for at in range(images + texts)
    ]
    parts.write_unit(settings, made, rows)
    return made


@pytest.fixture
def job(settings: Settings) -> MixJob:
    (made,) = plan([unit(settings, "a", 2, 1), unit(settings, "t", 0, 3)])
    return made


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts whose rows were read."""
    found: list[str] = []
    read = files.read_bytes

    def watched(uri: str, *arguments: object) -> bytes:
        if uri.endswith(".jsonl"):
            found.append(uri)
        return read(uri, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "read_bytes", watched)
    return found


def ids(settings: Settings, made: MixOutput) -> list[str]:
    root = Path(settings.output)
    return sorted(row["id"] for one in made.parts for row in dataset.json_lines(root / one.path))


ALL = ["a0", "a1", "a2", "t0", "t1", "t2"]


def test_a_mix_has_all_rows(settings: Settings, job: MixJob) -> None:
    made = mix(settings, job)
    assert ids(settings, made) == ALL
    assert made.replaced == (
        "jsonl/train-a.jsonl",
        f"{layout.TEXT_ONLY}/jsonl/train-t.jsonl",
    )
    assert all(files.exists(files.join(settings.output, path)) for path in made.replaced)
    assert list(results.read(settings, layout.MIXES, [job.name], MixOutput)) == [made]


def test_a_mix_that_was_made_is_found(settings: Settings, job: MixJob, reads: list[str]) -> None:
    made = mix(settings, job)
    reads.clear()
    assert mix(settings, job) == made
    assert reads == []
    fresh = msgspec.structs.replace(settings, resume=False)
    assert mix(fresh, job) == made
    assert len(reads) == 2


def test_a_mix_whose_file_is_lost_is_made_again(
    settings: Settings, job: MixJob, reads: list[str]
) -> None:
    made = mix(settings, job)
    before = dataset.tree(Path(settings.output))
    reads.clear()
    files.remove_file(files.join(settings.output, made.parts[0].path))
    assert mix(settings, job) == made
    assert len(reads) == 2
    assert dataset.tree(Path(settings.output)) == before


def test_a_mix_whose_file_was_moved_is_found(
    settings: Settings, job: MixJob, reads: list[str]
) -> None:
    made = mix(settings, job)
    reads.clear()
    for one in made.parts:
        moved = files.join(settings.output, layout.REPLACED, one.path)
        files.move(files.join(settings.output, one.path), moved)
    assert mix(settings, job) == made
    assert reads == []


def test_parts_that_a_commit_moved_are_read_there(settings: Settings, job: MixJob) -> None:
    path = "jsonl/train-a.jsonl"
    files.move(
        files.join(settings.output, path), files.join(settings.output, layout.REPLACED, path)
    )
    assert ids(settings, mix(settings, job)) == ALL


def test_other_units_make_another_mix(settings: Settings, job: MixJob) -> None:
    made = mix(settings, job)
    assert job.base is not None
    other = MixJob(job.base, (*job.texts, unit(settings, "u", 0, 2)))
    assert other.name != job.name
    more = mix(settings, other)
    assert not {one.path for one in made.parts} & {one.path for one in more.parts}
    assert ids(settings, more) == [*ALL, "u0", "u1"]
    assert ids(settings, made) == ALL, "nothing is overwritten"


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
@pytest.mark.parametrize("lost", ["jsonl", "text-only", "both"])
def test_rows_of_parts_that_are_gone_are_read_from_their_mix(
    settings: Settings, format: str, lost: str
) -> None:
    """A conversion that keeps one generation has removed what it mixed."""
    settings = msgspec.structs.replace(settings, formats=(format,))
    write_files(Path(settings.output), {IMAGE: b"x"})
    first, text, other = (unit(settings, *rows) for rows in (("a", 3, 5), ("t", 0, 4), ("u", 0, 2)))
    (job,) = plan([first, text])
    (again,) = plan([first, text, other])
    expected = mix(settings, again)
    data = [files.read_bytes(files.join(settings.output, one.path)) for one in expected.parts]
    files.remove(files.join(settings.output, layout.MIXES))
    made = mix(settings, job)
    for path in made.replaced:
        if lost in ("both", "text-only" if path.startswith(layout.TEXT_ONLY) else "jsonl"):
            files.remove_file(files.join(settings.output, path))
    for one in expected.parts:
        files.remove_file(files.join(settings.output, one.path))
    assert mix(settings, again, [made]) == expected
    assert data == [
        files.read_bytes(files.join(settings.output, one.path)) for one in expected.parts
    ]


def test_a_text_only_unit_that_was_alone_is_read_from_its_mix(settings: Settings) -> None:
    text = unit(settings, "t", 0, 3)
    (alone,) = plan([text])
    made = mix(settings, alone)
    files.remove(files.join(settings.output, layout.TEXT_ONLY))
    (job,) = plan([text, unit(settings, "a", 1, 0)])
    assert ids(settings, mix(settings, job, [made])) == ["a0", "t0", "t1", "t2"]


def test_a_unit_that_is_nowhere_is_an_error(settings: Settings, job: MixJob) -> None:
    files.remove_file(files.join(settings.output, "jsonl/train-a.jsonl"))
    with pytest.raises(FileNotFoundError):
        mix(settings, job)


def take(found: Snapshot, *new: ShardSummary, gone: str = "") -> Commit:
    """Commits shards as a watch does."""
    shards = {**found.shards, **{one.uri: one for one in new}}
    shards.pop(gone, None)
    kept, jobs = plan_mixes(shards.values(), found.mixes.values())
    mixes = [*kept.values(), *map(mix_of, jobs)]
    commit = found.next(how(command="watch"), content(shards.values(), mixes=mixes))
    found.apply(commit)
    return commit


def paths_of(parts: tuple[Part, ...] | list[Part]) -> list[str]:
    return [one.path for one in parts]


def test_text_only_rows_are_alone_until_images_come() -> None:
    found = Snapshot()
    alone = take(found, shard("t", images=0, texts=3))
    assert paths_of(alone.parts.added) == ["jsonl/train-t-1-0.jsonl"]
    mixed = take(found, shard("a", images=2))
    assert "jsonl/train-t-1-0.jsonl" in paths_of(mixed.parts.removed)
    assert all(one.image_rows for one in found.parts())
    assert sum(one.rows for one in found.parts()) == 5


def test_a_mix_that_holds_is_left_alone() -> None:
    found = Snapshot()
    take(found, shard("a", images=2), shard("t", images=0, texts=3))
    before = set(paths_of(found.parts()))
    later = take(found, shard("b", images=2), shard("u", images=0, texts=3))
    assert later.parts.removed == ()
    assert before <= set(paths_of(found.parts()))
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
    (made,) = found.mixes.values()
    assert made.job.base is not None
    assert made.job.base.name == "a-2-0"
    assert sum(one.rows for one in found.parts()) == 4


def test_a_conversion_plans_all_mixes() -> None:
    shards = [shard("a", images=2), shard("t", images=0, texts=3), shard("u", images=0, texts=1)]
    kept, (job,) = plan_mixes(shards)
    assert kept == {}
    assert [unit.name for unit in job.inputs()] == ["a-1-0", "t-1-0", "u-1-0"]
    assert plan_mixes([shard("a")]) == ({}, [])
    assert [job.base for job in plan_mixes(shards[1:])[1]] == [None, None]


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


@limits(max_examples=30, deadline=None)
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
    assert sorted(live) == paths_of(found.parts())
    assert sum(one.rows for one in live.values()) == sum(map(sum, last.values()))
    if any(images for images, _ in last.values()):
        # Wherever there are images at all, no part is without: see beam_mat.core.mix.
        assert all(one.image_rows for one in live.values())
    assert not any(path.startswith(layout.TEXT_ONLY) for path in live)
