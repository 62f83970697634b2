"""Google Cloud Dataflow: options and their defaults, and how a submitted job is followed.

Beam's `runners/dataflow` submits the jobs; docs/cloud.md explains the defaults.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shlex
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    WorkerOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow import dataflow_runner
from apache_beam.runners.runner import PipelineState
from fsspec.core import split_protocol
from rich.console import Console

from beam_mat.core import layout
from beam_mat.core.credentials import without_credentials
from beam_mat.core.errors import OutputInUseError
from beam_mat.core.image import resizer_name
from beam_mat.runners import worker_package
from beam_mat.runners.choose import missing_for_dataflow
from beam_mat.runners.logs import printed
from beam_mat.storage import files, stores
from beam_mat.transforms.step import counters

MACHINE_TYPE = "e2-standard-4"
MAX_WORKERS = 8
DISK_GB = 50

POLL_SECONDS = 10.0
"""Time between two looks at the counters; the service updates them a few times a minute."""


def faults(options: PipelineOptions, uris: Mapping[str, Sequence[str]]) -> list[str]:
    """Why a job cannot be submitted, a sentence for each reason. See `choose.runner_faults`."""
    cloud = options.view_as(GoogleCloudOptions)
    worker = options.view_as(WorkerOptions)
    found = [
        f"--runner DataflowRunner: {module} is not installed: pip install 'beam-mat[gcp]'"
        for module in missing_for_dataflow()
    ]
    if not cloud.project:
        found.append("--project is missing: name the Google Cloud project in which the job runs")
    if not cloud.region:
        found.append("--region is missing: name the bucket's region, such as --region us-central1")
    validator = PipelineOptionsValidator(options, dataflow_runner.DataflowRunner())
    if not cloud.temp_location:
        found.append("--temp_location is missing: name a folder such as gs://BUCKET/tmp")
    for name in ("temp_location", "staging_location"):
        place = getattr(cloud, name)
        if place and validator.validate_gcs_path(cloud, name):
            found.append(f"--{name} {place}: give a folder in a bucket, such as gs://BUCKET/tmp")
    if cloud.project and cloud.region and validator.is_service_runner():
        found += validator.validate_cloud_options(cloud)
    found += validator.validate_num_workers(worker)
    for name, places in uris.items():
        for uri in places:
            protocol, shown = _protocol(uri), f"{name} {without_credentials(uri)}"
            if protocol in ("", "file", "local", "memory"):
                found.append(
                    f"{shown}: workers in the cloud cannot read this machine's files; "
                    "name a place in a bucket, such as gs://BUCKET/mat"
                )
            elif (
                protocol not in (*stores.DRIVERS, "http", "https")
                and not worker.sdk_container_image
            ):
                found.append(
                    f"{shown}: Beam's container has no driver for {protocol}://; "
                    "build one that has it (docs/cloud.md) and name it with --sdk_container_image"
                )
    if not worker.sdk_container_image and resizer_name().startswith("pillow"):
        found.append(
            f"--runner DataflowRunner: {resizer_name()} resizes on this machine, cykooz-resizer on "
            "the workers, and the results differ; submit from a machine that has cykooz-resizer"
        )
    return found


def _protocol(uri: str) -> str:
    # In zip://x::gs://bucket/a.zip, the last part says which store.
    return split_protocol(uri.rpartition("::")[2])[0] or ""


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


def prepared(
    options: PipelineOptions, uris: Iterable[str]
) -> contextlib.AbstractContextManager[None]:
    """Completes `options` for a job that uses `uris`; it must be submitted in the block.

    Raises a ConfigError if the packages for the workers cannot be fetched.
    """
    set_defaults(options)
    return worker_package.staged(options, {_protocol(uri) for uri in uris})


def ensure_idle(output: str) -> None:
    """Raises an OutputInUseError if a job without a driver still writes to an output folder."""
    record = files.join(output, layout.SUBMITTED)
    if not files.exists(record):
        return
    from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

    where = msgspec.json.decode(files.read_bytes(record))
    name = where.pop("job")
    job = DataflowApplicationClient(PipelineOptions([], **where)).get_job(name)
    result = dataflow_runner.DataflowPipelineResult
    if not PipelineState.is_terminal(result.api_jobstate_to_pipeline_state(job.current_state)):
        raise OutputInUseError(
            f"{output}: the Dataflow job {name} still writes here; wait for its end, or "
            f"cancel it: {_cancel_command(name, where['region'])}"
        )
    files.remove_file(record)


def record_job(
    result: Any, options: PipelineOptions, output: str, *, detach: bool, endless: bool = False
) -> bool:
    """Prints where the job is, and records it in the output folder for `ensure_idle`.

    `result` is what the runner returned for the graph. Returns whether to `wait` for the end: not
    for a job that is left to itself (`detach`), nor if none was started. A job that does not end on
    its own is `endless`.
    """
    cloud = options.view_as(GoogleCloudOptions)
    if not getattr(result, "has_job", False):
        place = cloud.template_location
        _print(f"No job was started{f'; its template is {place}' if place else ': a dry run'}")
        return False
    job = result.job_id()
    record = {
        "job": job,
        "project": cloud.project,
        "region": cloud.region,
        "dataflow_endpoint": cloud.dataflow_endpoint,
        "no_auth": bool(cloud.no_auth),
    }
    scratch = files.join(output, layout.SCRATCH)
    files.write_bytes(files.join(output, layout.SUBMITTED), msgspec.json.encode(record), scratch)
    _print(f"Dataflow job {job}\n{_address(result, options)}")
    if detach:
        end = f"to end it: {_cancel_command(job, cloud.region)}"
        _print(f"The job continues on its own; {end if endless else _when_done(output)}")
    return not detach


def wait(result: Any, options: PipelineOptions, output: str, counts: Counter[str]) -> None:
    """Waits for the end of a conversion, prints the service's messages, and updates `counts`.

    Raises a RuntimeError if the job fails, with a worker's traceback if there is one.
    """
    try:
        _follow(result, options, counts)
        files.remove_file(files.join(output, layout.SUBMITTED))
    except KeyboardInterrupt:
        cancel = _cancel_command(result.job_id(), options.view_as(GoogleCloudOptions).region)
        _print(f"The job continues; {_when_done(output)}\nTo end it: {cancel}")
        raise


def wait_or_cancel(result: Any, options: PipelineOptions) -> bool:
    """Waits for a job that is useless without its driver: an interrupt cancels it. Returns True.

    Prints to standard error, because standard output is for the result.
    """
    _print(f"Dataflow job {result.job_id()}\n{_address(result, options)}", to_error=True)
    try:
        _follow(result, options, Counter())
    except KeyboardInterrupt:
        result.cancel()
        _print(f"The job {result.job_id()} is being cancelled", to_error=True)
        raise
    return True


def _follow(result: Any, options: PipelineOptions, counts: Counter[str]) -> None:
    try:
        # What Beam logs about a submission is left out, because it contains all the options.
        messages = printed(dataflow_runner.__name__, logging.INFO, form=None)
        with messages, _counting(result, counts):
            result.wait_until_finish()
    except dataflow_runner.DataflowRuntimeException as error:
        raise RuntimeError(f"{error}\n{_address(result, options)}") from None


def _print(text: str, *, to_error: bool = False) -> None:
    Console(stderr=to_error, soft_wrap=True, highlight=False, markup=False).print(text)


def _when_done(output: str) -> str:
    return f"when it is done: beam-mat publish {shlex.quote(output)}"


def _cancel_command(job: str, region: str) -> str:
    return f"gcloud dataflow jobs cancel {job} --region {region}"


def _address(result: Any, options: PipelineOptions) -> str:
    cloud = options.view_as(GoogleCloudOptions)
    return (
        f"https://console.cloud.google.com/dataflow/jobs/{cloud.region}/{result.job_id()}"
        f"?project={cloud.project}"
    )


@contextlib.contextmanager
def _counting(result: Any, counts: Counter[str]) -> Iterator[None]:
    done = threading.Event()

    def look() -> None:
        while not done.wait(POLL_SECONDS):
            try:
                dict.update(counts, counters(result))
            except Exception as error:  # noqa: BLE001  # only for display
                logging.getLogger(__name__).warning("the counters cannot be read: %s", error)

    watcher = threading.Thread(target=look, name="counters", daemon=True)
    watcher.start()
    try:
        yield
        dict.update(counts, counters(result))
    finally:
        done.set()
        watcher.join()
