"""Google Cloud Dataflow: the options that it needs, and their defaults.

Beam's `runners/dataflow` sends them; docs/cloud.md explains the defaults.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    WorkerOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from fsspec.core import split_protocol

from beam_mat.core.credentials import without_credentials
from beam_mat.core.image import resizer_name
from beam_mat.runners import worker_package

MACHINE_TYPE = "e2-standard-4"
MAX_WORKERS = 8
DISK_GB = 50

_THIS_MACHINE = (None, "file", "local", "memory")


def faults(options: PipelineOptions, uris: Mapping[str, Sequence[str]]) -> list[str]:
    """Everything that keeps a job from being submitted, a sentence each.

    Args:
        options: As typed.
        uris: The places that workers read and write, by the option that names them.
    """
    cloud = options.view_as(GoogleCloudOptions)
    found = [
        f"--runner DataflowRunner: {module} is not installed: pip install 'beam-mat[gcp]'"
        for module in ("google.cloud.dataflow", "build", "gcsfs")
        if not _importable(module)
    ]
    if not cloud.project:
        found.append("--project is missing: name the Google Cloud project in which the job runs")
    if not cloud.region:
        found.append("--region is missing: name the bucket's region, such as --region us-central1")
    validator = PipelineOptionsValidator(options, DataflowRunner())
    if not cloud.temp_location:
        found.append("--temp_location is missing: name a folder such as gs://BUCKET/tmp")
    for name in ("temp_location", "staging_location"):
        place = getattr(cloud, name)
        if place and validator.validate_gcs_path(cloud, name):
            found.append(f"--{name} {place}: give a folder in a bucket, such as gs://BUCKET/tmp")
    if cloud.project and cloud.region and validator.is_service_runner():
        found += validator.validate_cloud_options(cloud)
    found += validator.validate_num_workers(options.view_as(WorkerOptions))
    own_container = options.view_as(WorkerOptions).sdk_container_image
    for name, places in uris.items():
        for uri in places:
            protocol, shown = _protocol(uri), f"{name} {without_credentials(uri)}"
            if protocol in _THIS_MACHINE:
                found.append(
                    f"{shown}: workers in the cloud cannot read this machine's files; "
                    "name a place in a bucket, such as gs://BUCKET/mat"
                )
            elif protocol not in (*worker_package.DRIVERS, "http", "https") and not own_container:
                found.append(
                    f"{shown}: Beam's container has no driver for {protocol}://; "
                    "build one that has it (docs/cloud.md) and name it with --sdk_container_image"
                )
    if not own_container and resizer_name().startswith("pillow"):
        found.append(
            f"--runner DataflowRunner: {resizer_name()} resizes on this machine, cykooz-resizer on "
            "the workers, and the results differ; submit from a machine that has cykooz-resizer"
        )
    return found


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent package
        return False


def _protocol(uri: str) -> str | None:
    # In zip://x::gs://bucket/a.zip, the last part says which store.
    protocol: str | None = split_protocol(uri.rpartition("::")[2])[0]
    return protocol


@contextlib.contextmanager
def ready(options: PipelineOptions, uris: Iterable[str]) -> Iterator[None]:
    """Completes `options` for a submission, which must happen in the block.

    Args:
        options: Beam's.
        uris: The places that workers read and write.

    Raises:
        ConfigError: The packages for the workers cannot be fetched.
    """
    set_defaults(options)
    with worker_package.staged(options, {_protocol(uri) or "" for uri in uris}):
        yield


def set_defaults(options: PipelineOptions) -> None:
    """Sets defaults that suit this work, where the user gave no value."""
    worker = options.view_as(WorkerOptions)
    worker.machine_type = worker.machine_type or MACHINE_TYPE
    worker.disk_size_gb = worker.disk_size_gb or DISK_GB
    worker.autoscaling_algorithm = worker.autoscaling_algorithm or "THROUGHPUT_BASED"
    worker.max_num_workers = worker.max_num_workers or max(MAX_WORKERS, worker.num_workers or 0)
    if worker.use_public_ips is None:
        worker.use_public_ips = False
    debug = options.view_as(DebugOptions)
    cores = re.search(r"-(?:standard|highmem|highcpu)-(\d+)", worker.machine_type)
    if cores and not debug.number_of_worker_harness_threads:
        debug.number_of_worker_harness_threads = int(cores[1])
