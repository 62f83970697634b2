"""Dataflow: what must be said, what is said by default, and what becomes of a submitted job."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apache_beam
import pytest
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, WorkerOptions

from beam_mat.cli.convert import command_line
from beam_mat.runners import choose, dataflow
from tests.command import PROGRAM, ROOT, Ran, convert_words, run, spawn
from tests.making import record, write_shard, write_zip
from tests.rows import entry, lines, text, write
from tests.runners.test_staged import work
from tests.stands import cloud
from tests.stands.cloud import Cloud

GIVEN = ["--project", "my-project", "--region", "us-central1", "--temp_location", "gs://mat/tmp"]
IN_THE_CLOUD = {"--json": ["gs://mat/a.json"], "--output": ["gs://mat/out"]}


DOCKERFILE = ROOT / "Dockerfile"


def faults(*words: str, uris: Any = None) -> list[str]:
    found = dataflow.faults(PipelineOptions(list(words)), IN_THE_CLOUD if uris is None else uris)
    return [fault for fault in found if "is not installed" not in fault]


def test_nothing_is_wrong_with_what_is_needed() -> None:
    assert faults(*GIVEN) == []
    assert faults(*GIVEN, "--num_workers", "20", "--job_name", "mat-1") == []


def test_every_fault_is_told_at_once_before_anything_is_written(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.json", [record("1")])
    images = write_zip(tmp_path / "f.zip", {})
    words = ["convert", "--json", shard, "--images", images, "--output", tmp_path / "out"]
    ran = run(*words, "--runner", "DataflowRunner", "--temp_location", tmp_path)
    assert ran.code == 2
    told = [line.split(":")[0].strip() for line in ran.err.splitlines()[1:]]
    for name in ("--project is missing", "--region is missing", f"--temp_location {tmp_path}"):
        assert name in told
    for name in (f"--json {shard}", f"--images {images}", f"--output {tmp_path / 'out'}"):
        assert name in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--temp_location", "gs://mat"], "--temp_location gs://mat: give a folder"),
        (["--temp_location", "s3://mat/tmp"], "--temp_location s3://mat/tmp: give a folder"),
        (["--staging_location", "/tmp"], "--staging_location /tmp: give a folder"),
        (["--project", "My project"], "Invalid Project ID (My project)"),
        (["--job_name", "Mat_1"], "Invalid job_name (Mat_1)"),
        (["--num_workers", "9", "--max_num_workers", "4"], "num_workers (9) cannot exceed"),
    ],
)
def test_a_value_that_the_service_would_refuse(words: list[str], told: str) -> None:
    (fault,) = faults(*GIVEN, *words)
    assert told in fault


@pytest.mark.parametrize("uri", ["/data/a.json", "a.json", "file:///a.json", "memory://a.json"])
def test_a_place_on_this_machine(uri: str) -> None:
    (fault,) = faults(*GIVEN, uris={"--json": ["gs://mat/b.json", uri]})
    assert fault.startswith(f"--json {uri}: workers in the cloud cannot read")


def test_a_store_that_needs_a_container_with_its_driver() -> None:
    uris = {"--json": ["abfs://mat/a.json"]}
    (fault,) = faults(*GIVEN, uris=uris)
    assert "no driver for abfs://" in fault
    assert faults(*GIVEN, "--sdk_container_image", "example.com/beam-mat:1", uris=uris) == []


def test_only_a_service_goes_on_by_itself(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.json", [record("1")])
    images = write_zip(tmp_path / "f.zip", {})
    words = ["convert", "--json", shard, "--images", images, "--output", tmp_path / "out"]
    ran = run(*words, "--detach")
    assert ran.code == 2
    assert "--detach: only a service continues on its own" in ran.err


def test_a_job_server_knows_options_of_its_own(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.json", [record("1")])
    images = write_zip(tmp_path / "f.zip", {})
    words = convert_words(shard, images, tmp_path / "out")
    flink = ["--checkpointing_interval", "3000"]
    line = command_line()
    typed, faults = line.parse([*words[1:], "--runner", "FlinkRunner", *flink])
    assert not faults
    assert choose.runner_of(typed.beam) == "FlinkRunner"
    assert typed.beam == ["--runner=FlinkRunner", *flink]
    typed, faults = line.parse([*words[1:], "--runner", "FnApiRunner", *flink])
    assert typed.beam == ["--runner=FnApiRunner"]
    assert [fault[:39] for fault in faults] == ["--checkpointing_interval: unknown option"[:39]]


def told(*words: str) -> dict[str, Any]:
    options = PipelineOptions(list(words))
    dataflow.set_defaults(options)
    worker = options.view_as(WorkerOptions)
    return {
        "machine_type": worker.machine_type,
        "threads": options.view_as(DebugOptions).number_of_worker_harness_threads,
        "public": worker.use_public_ips,
        "autoscaling": worker.autoscaling_algorithm,
        "max": worker.max_num_workers,
        "disk": worker.disk_size_gb,
    }


DEFAULTS = {
    "machine_type": "e2-standard-4",
    "threads": 4,
    "public": False,
    "autoscaling": "THROUGHPUT_BASED",
    "max": 8,
    "disk": 50,
}


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ([], {}),
        # One unit of work a core, whatever the machine.
        (["--machine_type", "n2-highmem-16"], {"machine_type": "n2-highmem-16", "threads": 16}),
        # What the name does not tell is left to the service.
        (["--machine_type", "custom-6-9216"], {"machine_type": "custom-6-9216", "threads": None}),
        (["--number_of_worker_harness_threads", "2"], {"threads": 2}),
        (["--use_public_ips"], {"public": True}),
        (["--no_use_public_ips"], {"public": False}),
        (["--autoscaling_algorithm", "NONE"], {"autoscaling": "NONE"}),
        (["--max_num_workers", "3"], {"max": 3}),
        (["--num_workers", "20"], {"max": 20}),
        (["--disk_size_gb", "100"], {"disk": 100}),
    ],
)
def test_defaults_give_way_to_the_user(words: list[str], changed: dict[str, Any]) -> None:
    assert told(*words) == {**DEFAULTS, **changed}


def test_the_container_is_of_this_version_of_beam_and_holds_what_there_is() -> None:
    text = DOCKERFILE.read_text()
    assert f"FROM apache/beam_python${{PYTHON}}_sdk:{apache_beam.__version__}\n" in text
    copied = [word for line in re.findall("^COPY (.*)$", text, re.M) for word in line.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {f"!{name}" for name in copied} <= set(ignored)
    (extras,) = re.findall(r"/opt/beam-mat\[([a-z0-9,]+)\]", text)
    assert set(extras.split(",")) <= set(
        metadata.metadata("beam-mat").get_all("Provides-Extra") or []
    )


def test_image_workers_do_not_multiply() -> None:
    def number(*words: str) -> int:
        return choose.image_workers(
            [f"{option}={value}" for option, value in zip(words[::2], words[1::2], strict=True)]
        )

    cores = number()
    several = ["--direct_num_workers", str(cores), "--direct_running_mode", "multi_processing"]
    assert number(*several) == 1
    assert number("--runner", "DataflowRunner") == number("--runner", "FlinkRunner") == 1
    alone = ("--experiments", "no_use_multiple_sdk_containers")
    assert number("--runner", "DataflowRunner", *alone) == 0, "as many as the worker has cores"


class Underway:
    """A job that ends when its counters have been asked for twice."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._asked = 0
        self._looked_at = threading.Event()
        self.shown: dict[str, int] = {}

    def metrics(self) -> Underway:
        self._asked += 1
        if self._asked == 2:
            self.shown.update(self._counts)
            self._looked_at.set()
        return self

    def query(self, wanted: object) -> dict[str, list[Any]]:
        written = SimpleNamespace(metric=SimpleNamespace(name="written"))
        return {"counters": [SimpleNamespace(key=written, result=3 * self._asked)]}

    def wait_until_finish(self) -> None:
        assert self._looked_at.wait(20)


def test_the_display_follows_the_counters_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataflow, "POLL_SECONDS", 0.01)
    counts = Counter[str]()
    job = Underway(counts)
    dataflow.wait(job, PipelineOptions([]), str(tmp_path), counts)
    assert job.shown == {"written": 3}
    assert counts["written"] > 3


@pytest.fixture(scope="module")
def shared_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud.serving(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture
def here(shared_cloud: Cloud) -> Cloud:
    """The stand-ins as if no job had been there."""
    service = shared_cloud.service
    service.jobs.clear()
    service.asked.clear()
    service.state, service.messages, service.counters = "JOB_STATE_RUNNING", [], {}
    service.on_create = lambda job: None
    return shared_cloud


def option(job: dict[str, Any], name: str) -> Any:
    return job["environment"]["sdkPipelineOptions"]["options"][name]


@pytest.mark.stands
@pytest.mark.slow
def test_a_detached_job(here: Cloud) -> None:
    flags = ["--service_account_email", "mat@my-project.iam.gserviceaccount.com"]
    flags += ["--label", "team=agents", "--max_num_workers", "3", "--job_name", "mat-1"]
    words = here.words("gs://mat/detached")
    ran = spawn(*words, *flags, "--detach", environment=here.environment)
    assert ran.code == 0, ran.err
    assert "Dataflow job job-1" in ran.out
    address = "https://console.cloud.google.com/dataflow/jobs/us-central1/job-1?project=my-project"
    assert address in ran.out
    assert "beam-mat publish gs://mat/detached" in ran.out
    assert [path for path in here.service.asked if path.startswith("GET")] == []
    assert "detached/manifest.json" not in here.bucket.names()

    (job,) = here.service.jobs
    assert job["name"] == "mat-1"
    assert job["type"] == 1  # batch
    assert job["labels"] == {"team": "agents"}
    environment = job["environment"]
    assert environment["serviceAccountEmail"] == "mat@my-project.iam.gserviceaccount.com"
    assert {"use_runner_v2", "use_multiple_sdk_containers"} <= set(environment["experiments"])
    (pool,) = environment["workerPools"]
    assert pool["machineType"] == "e2-standard-4"
    assert pool["numThreadsPerWorker"] == 4
    assert pool["diskSizeGb"] == 50
    assert pool["ipConfiguration"] == 2  # private
    assert pool["autoscalingSettings"] == {"algorithm": 2, "maxNumWorkers": 3}
    assert re.search(r"/beam_python3\.\d+_sdk:2\.77\.0$", pool["workerHarnessContainerImage"])

    graph = here.bucket.get(option(job, "pipelineUrl"))
    assert hashlib.sha256(graph).hexdigest() == option(job, "pipelineProtoHash")
    packages = {package["name"] for package in pool["packages"]}
    assert {"workflow.tar.gz", "requirements.txt"} <= packages
    place = option(job, "pipelineUrl").rpartition("/")[0]
    pinned = here.bucket.get(f"{place}/requirements.txt").decode().split()
    assert {"gcsfs", "pillow", "pyarrow"} <= {pin.partition("==")[0] for pin in pinned}
    wheels = {name for name in packages if name.endswith(".whl")}
    assert wheels == {
        f"{pin.replace('-', '_').replace('==', '-')}-py3-none-any.whl" for pin in pinned
    }
    for name in packages:
        assert here.bucket.get(f"{place}/{name}")


@pytest.mark.stands
@pytest.mark.slow
def test_a_failed_job_tells_the_worker_s_error(here: Cloud) -> None:
    def fail(job: object) -> None:
        here.service.messages = [
            ("BASIC", "Workers have started."),
            (
                "ERROR",
                "Traceback (most recent call last):\n  File x\n"
                "beam_mat.core.errors.SourceError: gs://mat/f.zip: the zip cannot be read; "
                "pack it again [while running 'List members-ptransform-17']",
            ),
        ]
        here.service.state = "JOB_STATE_FAILED"

    here.service.on_create = fail
    ran = spawn(*here.words("gs://mat/failed"), environment=here.environment)
    assert ran.code == 1
    assert "Workers have started." in ran.err
    last = ran.err.splitlines()[-1]
    assert last == "beam-mat: gs://mat/f.zip: the zip cannot be read; pack it again"
    assert "failed/manifest.json" not in here.bucket.names()


@pytest.mark.stands
@pytest.mark.slow
def test_an_interrupted_driver_says_how_to_go_on(here: Cloud, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    environment = {**here.environment, "TMPDIR": str(tmp_path / "temporary")}
    with interrupted(here.words("gs://mat/left"), environment, tmp_path / "said", here):
        # However long it waits, and however it ends, what it packed is gone.
        assert list((tmp_path / "temporary").glob("beam-mat-*")) == []
    said = (tmp_path / "said").read_text()
    assert "The job continues; when it is done: beam-mat publish gs://mat/left" in said
    assert "gcloud dataflow jobs cancel job-1 --region us-central1" in said


@pytest.mark.stands
@pytest.mark.slow
def test_an_interrupted_check_ends_its_job(here: Cloud, tmp_path: Path) -> None:
    words = [*here.troubled(), *here.flags]
    with interrupted(words, here.environment, tmp_path / "said", here):
        pass
    assert any(path.startswith("PUT") for path in here.service.asked)
    assert "The job job-1 is being cancelled" in (tmp_path / "said").read_text()


def test_what_a_check_on_the_service_cannot_be_given(tmp_path: Path) -> None:
    folder = write(tmp_path, {"rows.jsonl": lines(text())}, {"d": entry()})
    flags = [*GIVEN, "--runner", "DataflowRunner", "--template_location", "gs://mat/t"]
    ran = run("check", folder, *flags, "--storage-options", '{"gs": {"token": "s3cret"}}')
    assert ran.code == 2
    said = [line.strip() for line in ran.err.splitlines()]
    for begin in (
        f"DATASET {folder}: workers in the cloud cannot read",
        "--template_location: check has to wait for the job",
        "--storage-options: gs.token looks like a secret",
    ):
        assert any(fault.startswith(begin) for fault in said), (begin, said)
    assert "s3cret" not in ran.err


@contextlib.contextmanager
def interrupted(
    words: list[str], environment: dict[str, str], said: Path, here: Cloud
) -> Iterator[None]:
    """A command that waits for its job during the block, and is interrupted at its end."""
    with (
        said.open("wb") as output,
        subprocess.Popen(
            [*PROGRAM, *words],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as driver,
    ):
        try:
            while not any(path.startswith("GET") for path in here.service.asked):
                assert driver.poll() is None, said.read_text()
                time.sleep(0.05)
            yield
            driver.send_signal(signal.SIGINT)
            assert driver.wait(30) == 130
        finally:
            driver.kill()


@pytest.fixture
def account(here: Cloud, tmp_path: Path) -> dict[str, str]:
    """A made-up service account, whose tokens the stand-in gives."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    made_up = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "1",
        "private_key": key.decode(),
        "client_email": "mat@my-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{here.service.url}/token",
    }
    (tmp_path / "account.json").write_text(json.dumps(made_up))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json")}


@pytest.mark.stands
@pytest.mark.slow
def test_a_template_passes_the_checks_of_the_real_endpoint(
    here: Cloud, account: dict[str, str], tmp_path: Path
) -> None:
    ran = template(here, account, "--template_location", "gs://mat/templates/convert")
    assert ran.code == 0, ran.err
    assert "its template is gs://mat/templates/convert" in ran.out
    assert here.service.jobs == []
    job = json.loads(here.bucket.get("templates/convert"))
    (pool,) = job["environment"]["workerPools"]
    assert pool["kind"] == "harness"
    assert pool["machineType"] == "e2-standard-4"
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    graph = here.bucket.get(option(job, "pipelineUrl"))
    assert hashlib.sha256(graph).hexdigest() == option(job, "pipelineProtoHash")
    # Whoever runs it publishes what it has made.
    work(here, job, "EMBEDDED_PYTHON", tmp_path)
    ran = spawn("publish", "gs://mat/from-template", *here.bucket.options)
    assert ran.code == 0, ran.err
    assert "Dataset in gs://mat/from-template" in ran.out


def template(here: Cloud, account: dict[str, str], *flags: str) -> Ran:
    words = here.words("gs://mat/from-template")
    without_endpoint = [word for word in words if word not in ("--no_auth", here.service.url)]
    without_endpoint.remove("--dataflow_endpoint")
    return spawn(*without_endpoint, *flags, environment={**here.environment, **account})
