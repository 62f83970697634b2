"""The log: what a dataset is after so many generations, and how text-only rows are dealt in."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core import layout
from beam_mat.core.chunk import Chunk, Shard
from beam_mat.core.errors import LostRecordError
from beam_mat.core.generation import (
    Contents,
    Generation,
    ShardEntry,
    entry_of,
    live_parts,
    plan_mixes,
)
from beam_mat.core.mix import mixed
from beam_mat.core.notes import ChunkNote, MixJob, MixNote, Part, RejectCount, Unit
from beam_mat.core.reject import Reason, Reject
from beam_mat.core.scan import Layout
from beam_mat.core.statistics import Statistics


def part(name: str, rows: int, image_rows: int = 0, folder: str = "jsonl") -> Part:
    return Part(f"{folder}/{name}", "jsonl", "train", rows, image_rows, 10, name)


def note(stem: str, version: str, images: int, texts: int, rejected: int = 0) -> ChunkNote:
    """A chunk of so many rows with images and without; alone texts stand aside."""
    shard = Shard(f"/in/{stem}.json", 0, 1, version)
    chunk = Chunk(f"{stem}{version}-0", shard, Layout.ARRAY, 0, 1, 0, images + texts + rejected)
    unit = Unit(f"{stem}{version}", "train", images, images + texts)
    aside = f"{layout.TEXT_ONLY}/jsonl" if not images else "jsonl"
    parts = (part(f"train-{unit.name}.jsonl", unit.rows, images, aside),)
    reject = Reject(Reason.NOT_AN_OBJECT, "", shard.uri, 0, 0, 1, "", "")
    why = (RejectCount(Reason.NOT_AN_OBJECT, rejected, reject),) if rejected else ()
    return ChunkNote(
        "g", "o", chunk, images + texts, 0, images, why, (unit,) if unit.rows else (),
        parts if unit.rows else (), part(f"{unit.name}.jsonl", rejected, 0, "rejects")
        if rejected else None, Statistics(),
    )  # fmt: skip


def entry(stem: str, version: str, images: int, texts: int, rejected: int = 0) -> ShardEntry:
    made = note(stem, version, images, texts, rejected)
    return entry_of(made.chunk.shard, stem + version, made.chunk.count, [made])


def mixed_note(job: MixJob) -> MixNote:
    """What `storage.mixing.mix` would write for a job."""
    made = mixed(job)
    parts = tuple(part(f"train-{one.name}.jsonl", len(one.rows), one.image_rows) for one in made)
    inputs = [f"jsonl/train-{job.base.name}.jsonl"] if job.base else []
    inputs += [f"{layout.TEXT_ONLY}/jsonl/train-{text.name}.jsonl" for text in job.texts]
    return MixNote("g", job, tuple(inputs), parts)


def take(contents: Contents, *entries: ShardEntry) -> Generation:
    """Commits shards as a watch does."""
    shards = contents.shards_with(entries)
    kept, jobs = plan_mixes(shards.values(), contents.mixes.values())
    mixes = {**kept, **{job.name: mixed_note(job) for job in jobs}}
    generation = contents.next(entries, [], mixes, None, {})
    contents.apply(generation)
    return generation


def paths(parts: tuple[Part, ...] | list[Part]) -> list[str]:
    return [one.path for one in parts]


def test_a_shard_is_added_and_its_next_version_takes_its_place() -> None:
    contents = Contents()
    first = take(contents, entry("a", "1", 2, 1, rejected=1))
    assert (first.generation, paths(first.parts.added)) == (1, ["jsonl/train-a1.jsonl"])
    assert paths(first.rejects.added) == ["rejects/a1.jsonl"]
    second = take(contents, entry("a", "2", 3, 0))
    assert paths(second.parts.added) == ["jsonl/train-a2.jsonl"]
    assert paths(second.parts.removed) == ["jsonl/train-a1.jsonl"]
    assert paths(second.rejects.removed) == ["rejects/a1.jsonl"]
    assert contents.shards["/in/a.json"].version == "2"


def test_text_only_rows_wait_for_images_and_are_dealt_in() -> None:
    contents = Contents()
    alone = take(contents, entry("t", "1", 0, 3))
    assert paths(alone.parts.added) == ["jsonl/train-t1.jsonl"]
    mix = take(contents, entry("a", "1", 2, 0))
    assert "jsonl/train-t1.jsonl" in paths(mix.parts.removed)
    assert all(one.image_rows for one in contents.parts())
    assert sum(one.rows for one in contents.parts()) == 5


def test_a_mix_that_holds_is_left_alone() -> None:
    contents = Contents()
    take(contents, entry("a", "1", 2, 0), entry("t", "1", 0, 3))
    before = set(paths(contents.parts()))
    later = take(contents, entry("b", "1", 2, 0), entry("u", "1", 0, 3))
    assert later.parts.removed == ()
    assert before <= set(paths(contents.parts()))


def test_a_record_that_is_lost_is_not_committed() -> None:
    made = note("a", "1", 2, 1)
    with pytest.raises(LostRecordError, match="4 records in, 3 accepted, 0 rejected"):
        entry_of(made.chunk.shard, "a1", 4, [made])
    shards = {"a": entry("a", "1", 2, 1)}
    rows = msgspec.structs.replace(shards["a"], accepted=4, records=4)
    with pytest.raises(LostRecordError, match="4 records accepted, 3 rows in jsonl"):
        Contents().next([rows], [], {}, None, {})


def test_generations_follow_one_another() -> None:
    contents = Contents()
    first = take(contents, entry("a", "1", 1, 0))
    with pytest.raises(ValueError, match="generation 1 after 1"):
        contents.apply(first)


COMMITS = st.lists(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.integers(0, 2), st.integers(0, 3)),
        min_size=1,
        max_size=3,
        unique_by=lambda one: one[0],
    ),
    min_size=1,
    max_size=10,
)


@given(COMMITS)
def test_the_log_adds_up_to_the_last_version_of_each_shard(
    commits: list[list[tuple[str, int, int]]],
) -> None:
    contents = Contents()
    read = Contents()
    live: dict[str, Part] = {}
    for version, commit in enumerate(commits, 1):
        entries = [entry(stem, str(version), images, texts) for stem, images, texts in commit]
        generation = take(contents, *entries)
        read.apply(msgspec.json.decode(msgspec.json.encode(generation), type=Generation))
        for gone in generation.parts.removed:
            assert live.pop(gone.path) == gone
        for new in generation.parts.added:
            assert new.path not in live
            live[new.path] = new
    last = {stem: (images, texts) for commit in commits for stem, images, texts in commit}
    assert sorted(live) == paths(contents.parts()) == paths(read.parts())
    assert sum(one.rows for one in live.values()) == sum(map(sum, last.values()))
    if any(images for images, _ in last.values()):
        # Wherever there are images at all, no part is without: see beam_mat.core.mix.
        assert all(one.image_rows for one in live.values())
    assert not any(path.startswith(layout.TEXT_ONLY) for path in live)


@given(COMMITS)
def test_one_file_stands_for_all(commits: list[list[tuple[str, int, int]]]) -> None:
    contents = Contents()
    for version, commit in enumerate(commits, 1):
        take(contents, *(entry(stem, str(version), *counts) for stem, *counts in commit))
    read = Contents()
    read.apply(msgspec.json.decode(msgspec.json.encode(contents.whole(None)), type=Generation))
    assert (read.number, read.parts()) == (contents.number, contents.parts())
    assert take(read, entry("z", "1", 1, 1)) == take(contents, entry("z", "1", 1, 1))


def test_the_parts_of_no_shards_are_none() -> None:
    assert live_parts([], []) == []
