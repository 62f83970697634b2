"""Jobs share a fingerprint if they write the same dataset, and only then."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import beam_mat
from beam_mat.core.chunk import Shard
from beam_mat.core.geometry import Budget
from beam_mat.core.job import IN_PROCESS, PRISM, Job
from beam_mat.core.results import Source
from beam_mat.core.settings import Settings
from beam_mat.dataset import fingerprint as fingerprints
from beam_mat.dataset.fingerprint import configuration, differences, fingerprint, made_by

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
    with_settings(budget=Budget(1000)),
    with_settings(prefixes=(("a", "b"),)),
    with_settings(formats=("jsonl",)),
    with_settings(val_fraction=0.5),
    with_settings(drop_duplicates=True),
    with_settings(apply_exif=True),
    with_settings(resizer="r 2"),
]
ALIKE = [
    msgspec.structs.replace(JOB, runner=PRISM, detach=True, overwrite=True, keep=5),
    msgspec.structs.replace(JOB, max_rejected=0.5),
    with_settings(output="/elsewhere"),
    with_settings(image_threads=7, progress="localhost:1", storage="{}", resume=True),
    with_settings(fingerprint="from before"),
]


def test_what_decides_the_bytes_decides_the_fingerprint() -> None:
    assert len({fingerprint(job) for job in (JOB, *OTHERS)}) == 1 + len(OTHERS)


@pytest.mark.parametrize("job", ALIKE)
def test_all_else_does_not(job: Job) -> None:
    assert fingerprint(job) == fingerprint(JOB)


@pytest.mark.parametrize(
    ("package", "decides"),
    [("beam-mat", True), ("pillow", True), ("pyarrow", True), ("apache-beam", False)],
)
def test_versions_that_write_other_bytes_decide_too(
    monkeypatch: pytest.MonkeyPatch, package: str, decides: bool
) -> None:
    before, versions = fingerprint(JOB), {**made_by(SETTINGS), package: "99"}
    monkeypatch.setattr(fingerprints, "made_by", lambda _: versions)
    assert (fingerprint(JOB) != before) == decides


def test_versions_are_named() -> None:
    found = made_by(SETTINGS)
    assert list(found) == ["beam-mat", "resizer", "apache-beam", "pillow", "pyarrow"]
    assert (found["beam-mat"], found["resizer"]) == (beam_mat.__version__, "r 1")


def now(**changes: Any) -> tuple[dict[str, Any], dict[str, str]]:
    limit = changes.pop("limit", None)
    settings = msgspec.structs.replace(SETTINGS, **changes)
    return configuration(settings, limit), made_by(settings)


def test_no_difference() -> None:
    assert differences("/out", now(), now()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"budget": Budget(1000)}, "--max-pixels 1000: the dataset in /out was made with 262144;"),
        ({"prefixes": (("a/", "b/"),)}, "--rewrite a/=b/: the dataset in /out was made with ;"),
        ({"formats": ("jsonl",)}, "--formats jsonl: the dataset in /out was made with jsonl,par"),
        ({"val_fraction": 0.5}, "--val-fraction 0.5: the dataset in /out was made with 0.0;"),
        ({"drop_duplicates": True}, "--duplicates drop: the dataset in /out was made with keep;"),
        ({"apply_exif": True}, "--exif apply: the dataset in /out was made with ignore;"),
        ({"limit": 5}, "--limit 5: the dataset in /out was made with none;"),
        ({"resizer": "r 2"}, "resizer r 2: the dataset in /out was made with r 1, whose output"),
    ],
)
def test_each_difference_is_a_sentence_with_a_cure(change: dict[str, Any], told: str) -> None:
    (fault,) = differences("/out", now(**change), now())
    assert fault.startswith(told)
    assert "choose another folder, or start over with --overwrite" in fault


def test_all_differences_are_named_at_once() -> None:
    faults = differences("/out", now(limit=5, formats=("jsonl",), resizer="r 2"), now())
    assert len(faults) == 3


def test_a_version_that_decides_nothing_is_no_difference() -> None:
    configured, versions = now()
    assert differences("/out", now(), (configured, {**versions, "apache-beam": "0"})) == []
    (fault,) = differences("/out", now(), (configured, {**versions, "pillow": "0"}))
    assert "install that version" in fault
