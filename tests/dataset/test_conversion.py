"""A conversion: finished by another process, read from its results, nothing lost unnoticed."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError, LostRecordError
from beam_mat.core.job import DATAFLOW, Job
from beam_mat.core.results import ShardSummary, Source
from beam_mat.core.settings import Settings
from beam_mat.dataset import conversion, image_table
from beam_mat.dataset.fingerprint import configuration, made_by
from beam_mat.storage import files
from beam_mat.work import chunks, results
from tests.dataset.made import put, there
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


def started(output: str) -> Job:
    settings = Settings(
        output, prefixes=(("a/", "b/"),), fingerprint="f", progress="localhost:1", storage="hunter2"
    )
    shards = (Shard("é.json", 0, 1, "1", 7),)
    return Job(shards, (Source("z.zip", 0),), settings, 7, 0.5, DATAFLOW, detach=True)


@pytest.mark.parametrize("keep", [None, 1, 3])
def test_a_job_comes_back(root: str, keep: int | None) -> None:
    given = started(root)
    conversion.write_pending(given, keep)
    found = conversion.read_pending(root)
    assert found is not None
    assert (found.fingerprint, found.keep) == ("f", keep)
    assert found.configuration == configuration(given.settings, 7)
    assert found.made_by == made_by(given.settings)
    settings = msgspec.structs.replace(given.settings, progress="", storage="")
    assert conversion.job_of(found) == msgspec.structs.replace(given, settings=settings)


def test_no_secret_and_no_address_is_written(root: str) -> None:
    conversion.write_pending(started(root), None)
    data = files.read_bytes(files.join(root, layout.PENDING))
    assert b"hunter2" not in data
    assert b"localhost" not in data


def test_the_same_job_gives_the_same_bytes(root: str) -> None:
    uri = files.join(root, layout.PENDING)
    conversion.write_pending(started(root), 1)
    before = files.read_bytes(uri)
    conversion.write_pending(started(root), 1)
    assert files.read_bytes(uri) == before


def test_without_a_job_there_is_none(root: str) -> None:
    assert conversion.read_pending(root) is None


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"fingerprint": 1}'])
def test_a_file_that_cannot_be_read_is_named(root: str, data: bytes) -> None:
    put(root, layout.PENDING, data)
    uri = re.escape(files.join(root, layout.PENDING))
    with pytest.raises(ConfigError, match=f"^{uri}: this version of beam-mat cannot read this job"):
        conversion.read_pending(root)


def test_another_version_s_job_names_the_version(root: str) -> None:
    conversion.write_pending(started(root), None)
    found = conversion.read_pending(root)
    assert found is not None
    other = msgspec.structs.replace(
        found, job=msgspec.Raw(b'{"shards": 5}'), made_by={"beam-mat": "9.9"}
    )
    with pytest.raises(ConfigError, match=r"beam-mat 9\.9 started this job, and this version"):
        conversion.job_of(other)
