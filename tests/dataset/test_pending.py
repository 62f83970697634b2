"""job.json: a conversion that was started can be finished by another process."""

from __future__ import annotations

import re

import msgspec
import pytest

from beam_mat.core import layout
from beam_mat.core.chunk import Shard
from beam_mat.core.errors import ConfigError
from beam_mat.core.job import DATAFLOW, Job
from beam_mat.core.references import Source
from beam_mat.core.settings import Settings
from beam_mat.dataset import pending
from beam_mat.dataset.fingerprint import configuration, made_by
from beam_mat.storage import files
from tests.dataset.made import put


def job(output: str) -> Job:
    settings = Settings(
        output, prefixes=(("a/", "b/"),), fingerprint="f", progress="localhost:1", storage="hunter2"
    )
    shards = (Shard("é.json", 0, 1, "1", 7),)
    return Job(shards, (Source("z.zip", 0),), settings, 7, 0.5, DATAFLOW, detach=True)


@pytest.mark.parametrize("keep", [None, 1, 3])
def test_a_job_comes_back(root: str, keep: int | None) -> None:
    given = job(root)
    pending.write(given, keep)
    found = pending.read(root)
    assert found is not None
    assert (found.fingerprint, found.keep) == ("f", keep)
    assert found.configuration == configuration(given.settings, 7)
    assert found.made_by == made_by(given.settings)
    settings = msgspec.structs.replace(given.settings, progress="", storage="")
    assert pending.job_of(found) == msgspec.structs.replace(given, settings=settings)


def test_no_secret_and_no_address_is_written(root: str) -> None:
    pending.write(job(root), None)
    data = files.read_bytes(files.join(root, layout.PENDING))
    assert b"hunter2" not in data
    assert b"localhost" not in data


def test_the_same_job_gives_the_same_bytes(root: str) -> None:
    uri = files.join(root, layout.PENDING)
    pending.write(job(root), 1)
    before = files.read_bytes(uri)
    pending.write(job(root), 1)
    assert files.read_bytes(uri) == before


def test_without_a_job_there_is_none(root: str) -> None:
    assert pending.read(root) is None
    pending.write(job(root), None)
    pending.remove(root)
    assert pending.read(root) is None
    pending.remove(root)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"fingerprint": 1}'])
def test_a_file_that_cannot_be_read_is_named(root: str, data: bytes) -> None:
    put(root, layout.PENDING, data)
    uri = re.escape(files.join(root, layout.PENDING))
    with pytest.raises(ConfigError, match=f"^{uri}: this version of beam-mat cannot read this job"):
        pending.read(root)


def test_another_version_s_job_names_the_version(root: str) -> None:
    pending.write(job(root), None)
    found = pending.read(root)
    assert found is not None
    other = msgspec.structs.replace(
        found, job=msgspec.Raw(b'{"shards": 5}'), made_by={"beam-mat": "9.9"}
    )
    with pytest.raises(ConfigError, match=r"beam-mat 9\.9 started this job, and this version"):
        pending.job_of(other)
