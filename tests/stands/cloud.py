"""Dataflow and its bucket as a submitter finds them, with a sample in the bucket."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from beam_mat.runners.worker_package import pins, requirements
from beam_mat.sample import write_sample
from tests.build import picture
from tests.rows import COLUMNS, IMAGE, array, entry, inside, lines, parquet, seen, text, turns
from tests.stands import bucket, dataflow, servers


class Cloud:
    """The stand-ins.

    Attributes:
        service: The Dataflow API.
        bucket: Where inputs, temporary files and outputs are.
        inputs: The words of a conversion, but for its output.
        flags: What makes a command one of this service.
        environment: Of a program that is to find all this.
    """

    def __init__(self, service: dataflow.Dataflow, store: bucket.Bucket, folder: Path) -> None:
        self.service = service
        self.bucket = store
        made = write_sample(folder / "set", shards=2, faults=True)
        shards = [store.put(f"input/{shard.name}", shard) for shard in made.shards]
        images = store.put("input/files.zip", made.image_zip)
        self.inputs = ["convert", "--json", *shards, "--images", images, *store.options]
        self.flags = ["--runner", "DataflowRunner", "--project", "my-project", "--no_auth"]
        self.flags += ["--region", "us-central1", "--temp_location", f"gs://{bucket.NAME}/tmp"]
        self.flags += ["--dataflow_endpoint", service.url]
        wheels = folder / "wheels"
        write_wheels(wheels, pins(requirements(["gs"])))
        # What workers install is fetched from a folder that holds it in name.
        self.environment = {
            **store.environment,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
        }

    def words(self, output: str) -> list[str]:
        """A conversion by this service."""
        return [*self.inputs, "--output", output, *self.flags]

    def troubled(self) -> list[str]:
        """The words of a check of a dataset in which there is something to find."""
        rows = [seen(), text(messages=turns("And?"), id="odd"), seen(images=["no.png"], id="bad")]
        files: dict[str, bytes] = {"d/a.jsonl": lines(*rows), "d/b.json": array(*rows)}
        files |= {"p.parquet": parquet(*[inside()] * 120, inside(images=[])), IMAGE: picture()}
        entries = {"d": entry("d"), "p": entry("p.parquet", columns=COLUMNS)}
        files["dataset_info.json"] = json.dumps(entries).encode()
        for name, data in files.items():
            self.bucket.put_bytes(f"troubled/{name}", data)
        lengths = ["--model", "qwen2_vl", "--cutoff-len", "10", "--json"]
        return ["check", f"gs://{bucket.NAME}/troubled", *lengths, *self.bucket.options]


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Cloud]:
    """Runs the stand-ins while the block lasts; files go to `folder`."""
    pytest.importorskip("google.cloud.dataflow")
    if not servers.FAKE_GCS.exists():
        servers.missing(servers.FAKE_GCS)
    with servers.google(folder) as url, dataflow.serving() as service:
        servers.google_bucket(url, bucket.NAME)
        yield Cloud(service, bucket.Bucket(url), folder)


def write_wheels(folder: Path, pinned: Iterable[str]) -> None:
    """Writes an empty wheel for each ``name==version``."""
    folder.mkdir()
    for pin in pinned:
        name, _, version = pin.replace("-", "_").partition("==")
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            )
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{info}/RECORD", "")
