"""What a finished conversion has made: read from its results, and nothing is lost unnoticed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from beam_mat.core import layout
from beam_mat.core.errors import LostRecordError
from beam_mat.core.job import Job
from beam_mat.core.summary import ShardSummary
from beam_mat.dataset import conversion, image_table
from beam_mat.storage import files
from beam_mat.work import chunks, results
from tests.dataset.made import there
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.work.plain import convert, job_of


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Images that are there and one that is not, text-only rows, a reject, and an empty shard."""
    shards = [
        write_shard(tmp_path / "a.json", [image_record("1", "p.jpg"), image_record("2", "no.jpg")]),
        write_shard(tmp_path / "t.json", [record("3"), record("4"), 5]),
        write_shard(tmp_path / "e.json", []),
    ]
    zips = [write_zip(tmp_path / "z.zip", {"p.jpg": picture()})]
    return job_of(tmp_path / "out", shards, zips)


def uri(job: Job, folder: str, name: str) -> str:
    return files.join(job.settings.output, folder, name)


def stem(job: Job, number: int) -> str:
    return job.shards[number].stem(job.settings.digest())


def test_the_content_is_that_of_all_results(job: Job) -> None:
    convert(job)
    content, totals = conversion.collect(job)
    assert list(content.shards) == [shard.uri for shard in job.shards]
    assert [one.records for one in content.shards.values()] == [2, 3, 0]
    assert list(content.sources.values()) == list(job.sources)
    (mix,) = content.mixes.values()
    assert mix.job.base is not None
    (table,) = content.images
    rows = image_table.read(job.settings.output, [table])
    assert sorted(rows["path"].to_pylist()) == ["no.jpg", "p.jpg"]
    assert content.counts == totals.counts()
    counts = {name: content.counts[name] for name in ("records", "accepted", "rejected")}
    assert counts == {"records": 5, "accepted": 3, "rejected": 2}
    assert content.counts["rejected_by_reason"] == {"image_missing": 1, "not_an_object": 1}
    assert content.counts["images"] == {"image_missing": 1, "kept": 1}
    live = content.parts()
    assert sum(part.rows for part in live) == 3
    assert {part.path for part in live} <= there(job.settings.output)


def test_collecting_twice_gives_the_same(job: Job) -> None:
    convert(job)
    assert conversion.collect(job) == conversion.collect(job)


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        (layout.SPLITS, "a shard is not finished: .*/shards/.* is missing"),
        (layout.SUMMARIES, "a shard is not finished: .*/summaries/.* is missing"),
        (layout.MIXES, "the graph did not write .*/mixes/"),
        (layout.IMAGE_RESULTS, "the graph did not write .*/images/"),
    ],
)
def test_a_result_that_is_missing_is_named(job: Job, folder: str, told: str) -> None:
    convert(job)
    files.remove(files.join(job.settings.output, folder))
    with pytest.raises(LostRecordError, match=told):
        conversion.collect(job)


def test_summaries_of_another_job_are_none(job: Job) -> None:
    convert(job)
    settings = msgspec.structs.replace(job.settings, fingerprint="other")
    with pytest.raises(LostRecordError, match="a shard is not finished"):
        conversion.collect(msgspec.structs.replace(job, settings=settings))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"records": 3}, r"summary \(3 records\) does not match the shard \(2 records\)"),
        ({"size": 1}, r"summary \(2 records\) does not match the shard \(2 records\)"),
        ({"accepted": 2}, "2 records in, 2 accepted, 1 rejected"),
    ],
)
def test_a_summary_that_does_not_add_up_is_lost(
    job: Job, change: dict[str, int], told: str
) -> None:
    convert(job)
    name = f"{job.settings.fingerprint}/{stem(job, 0)}"
    (found,) = results.read(job.settings, layout.SUMMARIES, [name], ShardSummary)
    chunks.write_summary(job.settings, msgspec.structs.replace(found, **change), exact=False)
    with pytest.raises(LostRecordError, match=told):
        conversion.collect(job)


def test_results_of_a_shard_that_changed_are_forgotten(job: Job) -> None:
    convert(job)
    output = job.settings.output
    conversion.forget(job, [job.shards[0].uri])
    left = there(output, layout.SPLITS, layout.REQUESTS, layout.OUTPUTS)
    assert left
    assert not any(stem(job, 0) in path for path in left)
    assert {path for path in left if stem(job, 1) in path}
    assert there(output, layout.SUMMARIES) == set()
    assert there(output, layout.IMAGE_RESULTS)


def test_results_of_images_are_forgotten_when_a_zip_changed(job: Job) -> None:
    convert(job)
    output = job.settings.output
    conversion.forget(job, [job.sources[0].uri])
    assert there(output, layout.IMAGE_RESULTS) == there(output, layout.SUMMARIES) == set()
    assert there(output, layout.SPLITS)
    assert there(output, layout.IMAGES), "image files never change"
