"""Each URI has its store. Drivers, storage options, and secrets that no message may repeat."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from fsspec import config

from beam_mat.core.errors import OutputError, StoreError
from beam_mat.core.job import Job
from beam_mat.sample import SampleSummary
from beam_mat.storage import files, stores
from beam_mat.storage.local_store import LocalStore
from beam_mat.storage.remote_store import HubStore, MemoryStore, RemoteStore
from beam_mat.storage.store import CHANGES
from beam_mat.storage.stores import locate
from tests.build import zip_of
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


def test_each_address_has_its_store() -> None:
    cwd = os.getcwd()
    expected = {
        "/a/b/": (LocalStore, "/a/b"),
        "/": (LocalStore, "/"),
        "/a::b/c://d": (LocalStore, "/a::b/c://d"),
        "a/b": (LocalStore, f"{cwd}/a/b"),
        "file:///a/b": (LocalStore, "/a/b"),
        "memory://a/b": (MemoryStore, "/a/b"),
        "memory:///a?#1": (MemoryStore, "/a?#1"),
    }
    for uri, (kind, path) in expected.items():
        for _ in range(2):
            store, found = locate(uri)
            assert (type(store), found) == (kind, path)


def test_a_scheme_is_looked_up_once_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    def counted(scheme: str) -> Any:
        looked_up.append(scheme)
        return fsspec.filesystem(scheme)

    monkeypatch.setattr(stores, "driver", counted)
    stores.use({})
    found = {id(locate(f"memory:///{number}")[0]) for number in range(10)}
    assert (len(found), looked_up) == (1, ["memory"])
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(locate, "memory:///a").result()[1] == "/a"
    assert len(looked_up) == 2
    stores.use({})
    locate("memory:///b")
    assert len(looked_up) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_looks_its_stores_up_again() -> None:
    store, _ = locate("memory:///a")
    child = os.fork()
    if not child:
        os._exit(locate("memory:///a")[0] is store)
    assert os.waitpid(child, 0)[1] == 0
    assert locate("memory:///a")[0] is store


def test_a_chain_of_file_systems_is_read_in_threads_of_its_own() -> None:
    data = b"0123456789" * 2_000_000
    files.write_bytes("memory:///chain.zip", zip_of({"big": data}), "")
    uri = "zip://big::memory://chain.zip"
    assert isinstance(locate(uri)[0], RemoteStore)
    assert b"".join(files.read_blocks(uri, 5, 20_000_000)) == data[5:]
    files.remove("memory:///chain.zip")


def test_the_hub_refuses_every_change() -> None:
    hub = HubStore(fsspec.filesystem("memory"))
    assert hub.read_only
    arguments = {
        "staged": ("a", ""),
        "place": (None, "a"),
        "place_new": (None, "a", None),
        "create": ("a", b""),
        "move": ("a", "a"),
    }
    for name in (*CHANGES, "staged", "place_new"):
        with pytest.raises(OutputError, match="a: the hub is read only"):
            getattr(hub, name)(*arguments.get(name, ("a",)))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://b/x#12", "b/x#12"),
        ("gcs://b/x?generation=12", "b/x?generation=12"),
        ("s3://b/x?versionId=abc", "b/x?versionId=abc"),
        ("s3a://b/x::y", "b/x::y"),
        ("hf://datasets/o/r/x?versionId=1#2::y@z", "datasets/o/r/x?versionId=1#2::y@z"),
        ("memory://x::y?a=b#1", "/x::y?a=b#1"),
        ("/x::y?a=b#1", "/x::y?a=b#1"),
        ("file:///x::y?a=b#1%20", "/x::y?a=b#1%20"),
    ],
)
def test_an_address_has_no_options_in_it(uri: str, path: str) -> None:
    scheme = uri.partition("://")[0]
    driver = {"gs": "gcsfs", "gcs": "gcsfs", "s3": "s3fs", "s3a": "s3fs", "hf": "huggingface_hub"}
    if scheme in driver and not find_spec(driver[scheme]):
        pytest.skip(f"{driver[scheme]} is not installed")
    versions: stores.Options = {
        "gs": {"token": "anon", "version_aware": True},
        "s3": {"version_aware": True},
    }
    for options in ({}, versions):
        stores.use(options)
        store, found = locate(uri)
        assert found == path
        assert locate(uri.partition("/x")[0] + "/x")[0] is store
        if (fs := getattr(store, "_fs", None)) and hasattr(fs, "split_path"):
            assert fs.split_path(found) == ("b", found[2:], None)
    stores.use({})
