"""A watch in the cloud: submitted to a stand-in of Dataflow, run on an emulator of its store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from beam_mat.storage import files, stores
from tests.command import spawn
from tests.making import image_record, picture, record, write_shard, write_zip
from tests.processes import end, mark
from tests.runners.test_staged import install
from tests.stands import cloud, reach, staged_stream
from tests.stands.cloud import Cloud
from tests.watch.soak import Watch

pytestmark = [pytest.mark.slow, pytest.mark.stands]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud.serving(tmp_path_factory.mktemp("cloud")) as made:
        yield made


def words(here: Cloud, output: str, *options: str) -> list[str]:
    given = here.words(output)
    places = ["--json", "gs://mat/arriving/*.json", "--images", "gs://mat/arriving/*.zip"]
    at = given.index("--images") + 2
    return ["watch", *places, *given[at:], *options]


def test_a_streaming_job_is_submitted_with_its_subscription(here: Cloud) -> None:
    name = "projects/my-project/subscriptions/arrivals"
    ran = spawn(
        *words(here, "gs://mat/watched", "--subscription", name, "--detach"),
        environment=here.environment,
    )
    assert ran.code == 0, ran.err
    assert "Dataflow job job-1" in ran.out
    assert "gcloud dataflow jobs cancel job-1 --region us-central1" in ran.out
    (job,) = here.service.jobs
    assert job["type"] == 2  # streaming
    place = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    graph = beam_runner_api_pb2.Pipeline.FromString(here.bucket.get(place))
    urns = {transform.spec.urn for transform in graph.components.transforms.values()}
    assert "beam:transform:pubsub_read:v1" in urns
    payloads = [
        transform.spec.payload
        for transform in graph.components.transforms.values()
        if transform.spec.urn == "beam:transform:pubsub_read:v1"
    ]
    assert all(name.encode() in payload for payload in payloads)
    # The folder is a job's now: no other run comes between.
    assert "watched/_beam_mat/dataflow.json" in here.bucket.names()
    again = spawn(*words(here, "gs://mat/watched"), environment=here.environment)
    assert again.code == 1
    assert "the Dataflow job job-1 still writes here" in again.err


@pytest.mark.prism
def test_the_staged_graph_watches_from_the_staged_package_alone(
    here: Cloud,
    tmp_path: Path,
    prism: Path,
) -> None:
    ran = spawn(
        *words(here, "gs://mat/staged", "--detach", "--interval", "1s", "--window", "1s"),
        environment=here.environment,
    )
    assert ran.code == 0, ran.err
    job = here.service.jobs[-1]
    graph = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    for name in ("pipeline.pb", "workflow.tar.gz"):
        place = f"{graph.rpartition('/')[0]}/{name}"
        (tmp_path / name).write_bytes(here.bucket.get(place))
    fresh = tmp_path / "fresh"
    install(tmp_path / "workflow.tar.gz", fresh)
    here.bucket.put("arriving/a.json", write_shard(tmp_path / "s", [image_record("a", "a.jpg")]))
    here.bucket.put("arriving/a.zip", write_zip(tmp_path / "z", {"a.jpg": picture(seed=1)}))
    marked = mark()
    said = tmp_path / "said"
    with said.open("wb") as output:
        workers = subprocess.Popen(
            [sys.executable, staged_stream.__file__, str(tmp_path / "pipeline.pb"), str(prism)],
            cwd=tmp_path,
            # Where the store is, the graph says; the pool starts workers by the name of python.
            env={
                **os.environ,
                **marked,
                "PYTHONPATH": str(fresh),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        give_up = time.monotonic() + 90
        while "staged/manifest.json" not in here.bucket.names("staged/manifest"):
            assert workers.poll() is None, said.read_text()
            assert time.monotonic() < give_up, said.read_text()
            time.sleep(0.5)
    finally:
        workers.kill()
        workers.wait(10)
        end(marked)
    assert Path(said.read_text().splitlines()[0]).is_relative_to(fresh)
    (part,) = here.bucket.names("staged/jsonl/")
    (row,) = (json.loads(line) for line in here.bucket.get(part).splitlines())
    images = [name.removeprefix("staged/") for name in here.bucket.names("staged/images/")]
    assert (row["id"], row["images"]) == ("a", images)


class Bucket:
    """Places on an emulator of Google's store."""

    def __init__(self, url: str) -> None:
        self.options = reach.google(url)
        stores.use(self.options)
        self.folder = f"gs://tests/{uuid.uuid4().hex}"

    def put(self, name: str, file: Path) -> None:
        files.write_bytes(f"{self.folder}/in/{name}", file.read_bytes(), "")

    def rows(self) -> list[Any]:
        found = files.find(f"{self.folder}/out/jsonl")
        data = b"".join(files.read_each(file.uri for _, file in found))
        return [json.loads(line) for line in data.splitlines()]


@pytest.fixture
def bucket(google: str) -> Iterator[Bucket]:
    yield Bucket(google)
    stores.use({})


@pytest.mark.prism
def test_a_watch_on_an_object_store_is_killed_and_goes_on(
    bucket: Bucket,
    tmp_path: Path,
    prism: Path,
) -> None:
    def start(*options: str) -> Watch:
        places = bucket.folder
        return Watch(
            tmp_path,
            prism,
            "1s",
            *("--json", f"{places}/in/*.json", "--images", f"{places}/in/*.zip"),
            *("--output", f"{places}/out", "--storage-options", json.dumps(bucket.options)),
            *options,
        )

    watch = start("--image-wait", "2s")
    try:
        bucket.put("a.json", write_shard(tmp_path / "s", [image_record("a", "a.jpg")]))
        bucket.put("a.zip", write_zip(tmp_path / "z", {"a.jpg": picture(seed=1)}))
        give_up = time.monotonic() + 90
        while not any(row["id"] == "a" for row in bucket.rows()):
            assert watch.process.poll() is None, watch.errors()
            assert time.monotonic() < give_up, watch.errors()
            time.sleep(0.2)
        watch.kill(runner=False)
    finally:
        watch.end()
    bucket.put("a.json", write_shard(tmp_path / "s", [image_record("a2", "a.jpg"), record("t")]))
    bucket.put("b.json", write_shard(tmp_path / "s", [record("b")]))
    watch = start("--stop-when-idle", "3s")
    try:
        assert watch.process.wait(180) == 0, watch.errors()
    finally:
        watch.end()
    assert sorted(row["id"] for row in bucket.rows()) == ["a2", "b", "t"]
    manifest = json.loads(files.read_bytes(f"{bucket.folder}/out/manifest.json"))
    assert manifest["counts"]["accepted"] == 3
    assert [name for name, _ in files.find(f"{bucket.folder}/out/replaced/jsonl")] != []
    assert spawn("verify", f"{bucket.folder}/out", "--storage-options",
                 json.dumps(bucket.options)).code == 0  # fmt: skip
