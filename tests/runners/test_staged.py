"""What Dataflow is given does the work: the staged graph, run from the staged package alone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import ROOT, spawn
from tests.crashing.pictures import CRASHES, CRASHING, check, write_inputs
from tests.stands import cloud, staged
from tests.stands.cloud import Cloud

pytestmark = [pytest.mark.stands, pytest.mark.slow]


@pytest.fixture(scope="module")
def shared_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud.serving(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture(scope="module")
def local(shared_cloud: Cloud) -> dict[str, bytes]:
    """What a conversion in the submitter's process writes."""
    words = [*shared_cloud.inputs, "--output", "gs://mat/local"]
    ran = spawn(*words, environment=shared_cloud.environment)
    assert ran.code == 0, ran.err
    return dataset(shared_cloud, "local")


def dataset(here: Cloud, output: str) -> dict[str, bytes]:
    tree = here.bucket.tree(output)
    return {name: data for name, data in tree.items() if not name.startswith("_beam_mat/")}


def install(source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*command, str(source)], check=True)


def work(
    here: Cloud, job: dict[str, Any], environment: str, folder: Path, *path: Path
) -> dict[str, int]:
    """Does what the service's workers would do, and returns the counters.

    Folders of `path` are before the staged package on Python's path.
    """
    graph = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    place = graph.rpartition("/")[0]
    for name in ("pipeline.pb", "workflow.tar.gz"):
        (folder / name).write_bytes(here.bucket.get(f"{place}/{name}"))
    fresh = folder / "fresh"
    install(folder / "workflow.tar.gz", fresh)
    report = folder / "report.json"
    graph_file = str(folder / "pipeline.pb")
    command = [sys.executable, staged.__file__, graph_file, environment, str(report)]
    # Where the store is, the graph says.
    python_path = os.pathsep.join(map(str, (*path, fresh)))
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "PYTHONPATH": python_path})
    said = json.loads(report.read_bytes())
    assert Path(said["package"]).is_relative_to(fresh)
    counters: dict[str, int] = said["counters"]
    return counters


@contextlib.contextmanager
def at_work(here: Cloud, environment: str, folder: Path, *path: Path) -> Iterator[None]:
    """Has jobs done as they come, for as long as the block lasts."""
    service = here.service

    def workers(job: dict[str, Any]) -> None:
        try:
            service.counters = work(here, job, environment, folder, *path)
            service.state = "JOB_STATE_DONE"
        except BaseException as error:
            service.messages = [("ERROR", repr(error))]
            service.state = "JOB_STATE_FAILED"
            raise

    service.state, service.on_create = "JOB_STATE_RUNNING", workers
    yield
    service.on_create = lambda job: None


def test_the_driver_waits_and_publishes_what_a_local_run_writes(
    shared_cloud: Cloud, local: dict[str, bytes], tmp_path: Path
) -> None:
    service = shared_cloud.service
    with at_work(shared_cloud, "EMBEDDED_PYTHON", tmp_path):
        ran = spawn(*shared_cloud.words("gs://mat/waited"), environment=shared_cloud.environment)
    assert ran.code == 0, ran.err
    found = dataset(shared_cloud, "waited")
    assert found.keys() == local.keys()
    assert [name for name in found if found[name] != local[name]] == []
    counts = json.loads(found["manifest.json"])["counts"]
    assert service.counters["records"] == service.counters["written"] == counts["records"]
    assert service.counters["wanted"] == sum(counts["images"].values())
    assert "Dataset in gs://mat/waited" in ran.out


@pytest.mark.parametrize("environment", ["EMBEDDED_PYTHON", "SUBPROCESS_SDK"])
def test_a_crash_of_a_decoder_costs_one_image(
    shared_cloud: Cloud, tmp_path: Path, environment: str
) -> None:
    store, output = shared_cloud.bucket, f"crashing-{environment}"
    inputs = [store.put(f"{output}-in/{one.name}", one) for one in write_inputs(tmp_path, *CRASHES)]
    words = ["convert", "--json", inputs[0], "--images", inputs[1], *store.options]
    words += ["--output", f"gs://mat/{output}", *shared_cloud.flags]
    with at_work(shared_cloud, environment, tmp_path, CRASHING):
        ran = spawn(*words, environment=shared_cloud.environment)
    assert ran.code == 0, ran.err
    for name, data in store.tree(output).items():
        file = tmp_path / "out" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    check(tmp_path / "out", *CRASHES)


def test_a_check_finds_what_it_finds_here(shared_cloud: Cloud, tmp_path: Path) -> None:
    words = shared_cloud.troubled()
    expected = spawn(*words, environment=shared_cloud.environment)
    assert expected.code == 3, expected.err
    assert "image_tokens_cut" in expected.out
    with at_work(shared_cloud, "SUBPROCESS_SDK", tmp_path):
        ran = spawn(*words, *shared_cloud.flags, environment=shared_cloud.environment)
    assert (ran.code, ran.out) == (3, expected.out), ran.err
    assert shared_cloud.service.counters["rows_checked"] == 127
    assert [name for name in shared_cloud.bucket.names("tmp/") if "check" in name] == []


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The project as pip installs it: its package without a setup file beside it."""
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "beam_mat", source / "beam_mat", ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    install(source, tmp_path / "installed")
    shutil.rmtree(source)
    return tmp_path / "installed"


def test_a_detached_job_of_an_installed_package_is_published_later(
    shared_cloud: Cloud, local: dict[str, bytes], installed: Path, tmp_path: Path
) -> None:
    service, jobs = shared_cloud.service, len(shared_cloud.service.jobs)
    service.state, service.on_create = "JOB_STATE_RUNNING", lambda job: None
    environment = {**shared_cloud.environment, "PYTHONPATH": str(installed)}
    words = shared_cloud.words("gs://mat/detached")
    ran = spawn(*words, "--detach", environment=environment)
    assert ran.code == 0, ran.err
    publish = ["publish", "gs://mat/detached", *shared_cloud.bucket.options]
    too_early = spawn(*publish, environment=environment)
    assert too_early.code == 1
    assert "still writes here; wait for its end" in too_early.err
    again = spawn(*words, environment=environment)
    assert again.code == 1
    assert "gcloud dataflow jobs cancel job-" in again.err
    assert len(service.jobs) == jobs + 1
    work(shared_cloud, service.jobs[-1], "SUBPROCESS_SDK", tmp_path)
    service.state = "JOB_STATE_DONE"
    published = spawn(*publish, environment=environment)
    assert published.code == 0, published.err
    assert dataset(shared_cloud, "detached") == local
