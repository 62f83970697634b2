"""A conversion: named by what decides its bytes, finished by another, nothing lost unnoticed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import beam_mat
from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError, LostRecordError
from beam_mat.core.geometry import Budget
from beam_mat.core.image import ImageRules
from beam_mat.core.job import DATAFLOW, IN_PROCESS, PRISM, Job
from beam_mat.core.results import ShardSummary, Source
from beam_mat.core.settings import Settings
from beam_mat.dataset import conversion, image_table
from beam_mat.dataset.commit import CONVERT, Made
from beam_mat.dataset.conversion import configuration, differences, fingerprint, made_by, made_of
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
    content = conversion.collect(job)
    assert list(content.shards) == [shard.uri for shard in job.shards]
    assert [one.records for one in content.shards.values()] == [2, 3, 0]
    assert list(content.sources.values()) == list(job.sources)
    (mix,) = content.mixes.values()
    assert mix.job.base is not None
    (table,) = content.images
    rows = image_table.read(job.settings.output, [table])
    assert sorted(rows["path"].to_pylist()) == ["no.jpg", "p.jpg"]
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


SHARD, SOURCE = Shard("a.json", 0, 1, "1"), Source("z.zip", 0, 1, "1")
SETTINGS = Settings("/out", resizer="r 1")
JOB = Job((SHARD,), (SOURCE,), SETTINGS, None, None, IN_PROCESS)


def with_settings(**changes: Any) -> Job:
    return msgspec.structs.replace(JOB, settings=msgspec.structs.replace(SETTINGS, **changes))


OTHERS = [
    msgspec.structs.replace(JOB, shards=()),
    msgspec.structs.replace(JOB, shards=(msgspec.structs.replace(SHARD, version="2"),)),
    msgspec.structs.replace(JOB, shards=(msgspec.structs.replace(SHARD, size=2),)),
    msgspec.structs.replace(JOB, sources=()),
    msgspec.structs.replace(JOB, sources=(msgspec.structs.replace(SOURCE, version="2"),)),
    msgspec.structs.replace(JOB, limit=5),
    with_settings(images=ImageRules(Budget(1000))),
    with_settings(prefixes=(("a", "b"),)),
    with_settings(formats=("jsonl",)),
    with_settings(val_fraction=0.5),
    with_settings(drop_duplicates=True),
    with_settings(images=ImageRules(apply_exif=True)),
    with_settings(resizer="r 2"),
]
ALIKE = [
    msgspec.structs.replace(JOB, runner=PRISM, detach=True, overwrite=True, keep=5),
    msgspec.structs.replace(JOB, max_rejected=0.5),
    with_settings(output="/elsewhere"),
    with_settings(image_workers=7, progress="localhost:1", storage="{}", resume=True),
    with_settings(fingerprint="from before"),
]


def test_what_decides_the_bytes_decides_the_fingerprint() -> None:
    assert len({fingerprint(job) for job in (JOB, *OTHERS)}) == 1 + len(OTHERS)


@pytest.mark.parametrize("job", ALIKE)
def test_all_else_does_not(job: Job) -> None:
    assert fingerprint(job) == fingerprint(JOB)


@pytest.mark.parametrize(
    ("package", "decides"),
    [
        ("beam-mat", True),
        ("zlib", True),
        ("pillow", True),
        ("pyarrow", True),
        ("apache-beam", False),
    ],
)
def test_versions_that_write_other_bytes_decide_too(
    monkeypatch: pytest.MonkeyPatch, package: str, decides: bool
) -> None:
    before, versions = fingerprint(JOB), {**made_by(SETTINGS), package: "99"}
    monkeypatch.setattr(conversion, "made_by", lambda _: versions)
    assert (fingerprint(JOB) != before) == decides


def test_versions_are_named() -> None:
    found = made_by(SETTINGS)
    assert list(found) == ["beam-mat", "resizer", "zlib", "apache-beam", "pillow", "pyarrow"]
    assert (found["beam-mat"], found["resizer"]) == (beam_mat.__version__, "r 1")


def now(limit: int | None = None, **changes: Any) -> Made:
    return made_of(msgspec.structs.replace(SETTINGS, **changes), CONVERT, 1, limit)


def test_no_difference() -> None:
    assert differences("/out", now(), now()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"images": ImageRules(Budget(1000))},
            "--max-pixels 1000: the dataset in /out was made with 262144;",
        ),
        (
            {"prefixes": (("a/", "b/"), *layout.DEFAULT_REWRITE)},
            "--rewrite a/=b/: the dataset in /out was made with --no-default-rewrite;",
        ),
        ({"formats": ("jsonl",)}, "--formats jsonl: the dataset in /out was made with jsonl,par"),
        ({"val_fraction": 0.5}, "--val-fraction 0.5: the dataset in /out was made with 0.0;"),
        ({"drop_duplicates": True}, "--duplicates drop: the dataset in /out was made with keep;"),
        (
            {"images": ImageRules(apply_exif=True)},
            "--exif apply: the dataset in /out was made with ignore;",
        ),
        ({"limit": 5}, "--limit 5: the dataset in /out was made with none;"),
        ({"resizer": "r 2"}, "resizer r 2: the dataset in /out was made with r 1, whose output"),
    ],
)
def test_each_difference_is_a_sentence_with_a_cure(change: dict[str, Any], told: str) -> None:
    (fault,) = differences("/out", now(**change), now())
    assert fault.startswith(told)
    assert "choose another folder, or start over with --overwrite" in fault


def test_an_option_that_did_not_exist_has_its_default() -> None:
    there = now()
    del there.configuration["reencode"]
    assert differences("/out", now(), there) == []
    (fault,) = differences("/out", now(images=ImageRules(reencode=True)), there)
    assert fault.startswith("--reencode: the dataset in /out was made without it;")


def test_all_differences_are_named_at_once() -> None:
    faults = differences("/out", now(limit=5, formats=("jsonl",), resizer="r 2"), now())
    assert len(faults) == 3


def test_a_version_that_decides_nothing_is_no_difference() -> None:
    there = now()
    there.made_by["apache-beam"] = "0"
    assert differences("/out", now(), there) == []
    there.made_by["pillow"] = "0"
    (fault,) = differences("/out", now(), there)
    assert "install that version" in fault
