"""How stores are told of and reached: drivers, storage options, and what must not be told."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from fsspec import config

from beam_mat.core.errors import StoreError
from beam_mat.core.job import Job
from beam_mat.sample import SampleSummary
from beam_mat.storage import stores
from tests.command import ROOT, Ran, convert_words, run


def said(*options: object) -> Ran:
    """A conversion of nothing, for what it says of its options."""
    return run("convert", "--output", "out", *options)


def test_a_missing_driver_is_told_with_its_cure() -> None:
    absent = "import sys; sys.modules.update(gcsfs=None, s3fs=None, adlfs=None)"
    program = f"{absent}; from beam_mat.cli import main; raise SystemExit(main())"
    words = ["--json", "gs://b/a.json", "abfs://c/b.json", "--images", "s3://b/files.zip"]
    ended = subprocess.run(
        [sys.executable, "-c", program, "convert", *words, "--output", "out"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    for told in (
        "--json gs://b/a.json: gs:// needs a driver: pip install 'beam-mat[gcp]'",
        "--json abfs://c/b.json: abfs needs a driver: Install adlfs",
        "--images s3://b/files.zip: s3:// needs a driver: pip install 'beam-mat[s3]'",
    ):
        assert f"  {told}" in ended.stderr


def test_an_unknown_protocol_is_told() -> None:
    ran = said("--json", "gss://b/a.json", "--images", "x.zip")
    assert ran.code == 2
    assert "--json gss://b/a.json: Protocol not known: gss" in ran.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ('{"gs": ', "--storage-options: Input data was truncated"),
        ('{"gs": "hush"}', "--storage-options: Expected `object`"),
        ('["hush"]', "cannot be read"),
        ('{"gss": {}}', "--storage-options: 'gss' is not a protocol; use gs, s3, hf"),
        ("none.json", "--storage-options: none.json cannot be read"),
    ],
)
def test_storage_options_that_are_none_are_told(options: str, why: str) -> None:
    ran = said("--storage-options", options)
    assert ran.code == 2
    assert why in ran.err


SECRET = "hush-hush"
INLINE = json.dumps({"s3": {"key": "me", "client_kwargs": {"aws_session_token": SECRET}}})


def test_secrets_do_not_travel_to_other_machines() -> None:
    ran = said("--runner", "FlinkRunner", "--storage-options", INLINE)
    assert ran.code == 2
    for name in ("s3.key", "s3.client_kwargs.aws_session_token"):
        assert f"--storage-options: {name} looks like a secret" in ran.err
    assert SECRET not in ran.err
    assert "looks like a secret" not in said("--storage-options", INLINE).err
    harmless = json.dumps({"gs": {"token": "anon", "endpoint_url": "http://localhost:1"}})
    assert "looks like" not in said("--runner", "FlinkRunner", "--storage-options", harmless).err


def resolved(words: list[str]) -> tuple[Job, PipelineOptions]:
    """What a conversion would be run with."""
    caught = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "beam_mat.convert.driver.run_conversion",
            lambda job, options, console: caught.append((job, options)),
        )
        assert run("convert", *words).code == 0
    return caught[0]


def test_a_job_carries_no_secret(made_up: SampleSummary, tmp_path: Path) -> None:
    held = tmp_path / "options.json"
    held.write_text(INLINE)
    words = convert_words(made_up.shards, made_up.image_zip, tmp_path / "out")[1:]
    for runner, storage, kept in [
        ("FnApiRunner", INLINE, ""),
        ("PrismRunner", INLINE, ""),
        ("PrismRunner", str(held), ""),
        ("FlinkRunner", str(held), str(held)),
    ]:
        job, options = resolved([*words, "--runner", runner, "--storage-options", storage])
        assert job.settings.storage == kept
        carried = repr(options.get_all_options(retain_unknown_options=True)) + repr(job)
        assert SECRET not in carried + pickle.dumps(job.settings).decode("latin-1")
    stores.use({})


def test_what_a_worker_on_another_machine_is_told(tmp_path: Path) -> None:
    held = tmp_path / "options.json"
    held.write_text(INLINE)
    stores.use_in_worker(str(held))
    try:
        assert config.conf["s3"]["key"] == "me"
        # Processes that it starts have them from the environment.
        asked = "import fsspec.config; print(fsspec.config.conf['s3']['key'])"
        assert subprocess.check_output([sys.executable, "-c", asked], text=True) == "me\n"
    finally:
        stores.use({})
    assert "s3" not in config.conf
    assert "FSSPEC_S3" not in os.environ
    with pytest.raises(StoreError, match=r"gone\.json cannot be read.*where all workers can"):
        stores.use_in_worker(str(tmp_path / "gone.json"))


@pytest.mark.parametrize(
    "uri", [f"sftp://me:{SECRET}@h/a", f"https://h/a?X-Amz-Signature={SECRET}"]
)
def test_an_address_with_a_credential_is_refused_and_not_repeated(uri: str) -> None:
    for option in ("--json", "--images", "--output"):
        ran = run("convert", option, uri)
        assert ran.code == 2
        assert f"{option} {uri.partition(':')[0]}://" in ran.err
        assert "and addresses are written to the manifest" in ran.err
        assert SECRET not in ran.err
