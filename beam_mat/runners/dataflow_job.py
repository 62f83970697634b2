"""Follows a job on Google Cloud Dataflow."""

from __future__ import annotations

import contextlib
import logging
import shlex
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.dataflow.dataflow_runner import (
    DataflowPipelineResult,
    DataflowRunner,
    DataflowRuntimeException,
)
from apache_beam.runners.runner import PipelineState
from rich.console import Console

from beam_mat.core import layout
from beam_mat.core.errors import OutputInUseError
from beam_mat.storage import files
from beam_mat.transforms.step import NAMESPACE

POLL_SECONDS = 10.0
"""Time between two looks at the counters; the service updates them a few times a minute."""


class Submitted(msgspec.Struct, frozen=True):
    """How to look up a job: a file in the output folder that it writes to."""

    job: str
    project: str
    region: str
    dataflow_endpoint: str
    no_auth: bool

    def ended(self) -> bool:
        """Asks the service whether the job has ended, in whatever way."""
        from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

        where = msgspec.structs.asdict(self)
        del where["job"]
        found = DataflowApplicationClient(PipelineOptions([], **where)).get_job(self.job)
        state = DataflowPipelineResult.api_jobstate_to_pipeline_state(found.current_state)
        return bool(PipelineState.is_terminal(state))


def hold_off(output: str) -> None:
    """Makes sure that no job without a driver still writes to an output folder.

    Raises:
        OutputInUseError: There is such a job.
    """
    note = files.join(output, layout.SUBMITTED)
    if not files.exists(note):
        return
    there = msgspec.json.decode(files.read_bytes(note), type=Submitted)
    if not there.ended():
        raise OutputInUseError(
            f"{output}: the Dataflow job {there.job} still writes here; wait for its end, or "
            f"cancel it: gcloud dataflow jobs cancel {there.job} --region {there.region}"
        )
    files.remove_file(note)


def submitted(
    result: Any, options: PipelineOptions, output: str, *, detach: bool, endless: bool = False
) -> bool:
    """Prints where the job is, and returns whether to `wait` for its end.

    The job is recorded in the output folder: see `hold_off`.

    Args:
        result: What the runner returned for the graph.
        options: The options that it was submitted with.
        output: The dataset's folder.
        detach: Whether to leave the job to itself.
        endless: Whether it is a streaming job, which does not end on its own.
    """
    if not getattr(result, "has_job", False):
        place = options.view_as(GoogleCloudOptions).template_location
        _say(f"No job was started{f'; its template is {place}' if place else ': a dry run'}")
        return False
    cloud = options.view_as(GoogleCloudOptions)
    note = Submitted(
        result.job_id(), cloud.project, cloud.region, cloud.dataflow_endpoint, bool(cloud.no_auth)
    )
    scratch = files.join(output, layout.SCRATCH)
    files.write_bytes(files.join(output, layout.SUBMITTED), msgspec.json.encode(note), scratch)
    _say(f"Dataflow job {result.job_id()}\n{_address(result, options)}")
    if detach:
        region = cloud.region
        end = f"to end it: gcloud dataflow jobs cancel {result.job_id()} --region {region}"
        _say(f"The job continues on its own; {end if endless else _when_done(output)}")
    return not detach


def wait(result: Any, options: PipelineOptions, output: str, counts: Counter[str]) -> None:
    """Waits for the end of a job and prints the service's messages.

    Args:
        result: What the runner returned for the graph.
        options: The options that it was submitted with.
        output: The dataset's folder.
        counts: The progress display's counts, which are kept up to date.

    Raises:
        RuntimeError: The job failed; the text has a worker's traceback if there is one.
    """
    try:
        _follow(result, options, counts)
        files.remove_file(files.join(output, layout.SUBMITTED))
    except KeyboardInterrupt:
        region = options.view_as(GoogleCloudOptions).region
        cancel = f"gcloud dataflow jobs cancel {result.job_id()} --region {region}"
        _say(f"The job continues; {_when_done(output)}\nTo end it: {cancel}")
        raise


def wait_or_cancel(result: Any, options: PipelineOptions) -> None:
    """Waits for the end of a job that is useless without its driver; cancels it on an interrupt.

    The job's address is printed to standard error: standard output is for the result.

    Args:
        result: What the runner returned for the graph.
        options: The options that it was submitted with.

    Raises:
        RuntimeError: As for `wait`.
    """
    _say(f"Dataflow job {result.job_id()}\n{_address(result, options)}", to_error=True)
    try:
        _follow(result, options, Counter())
    except KeyboardInterrupt:
        result.cancel()
        _say(f"The job {result.job_id()} is being cancelled", to_error=True)
        raise


def _follow(result: Any, options: PipelineOptions, counts: Counter[str]) -> None:
    try:
        with _messages(), _counting(result, counts):
            result.wait_until_finish()
    except DataflowRuntimeException as error:
        raise RuntimeError(f"{error}\n{_address(result, options)}") from None


def _say(text: str, *, to_error: bool = False) -> None:
    Console(stderr=to_error, soft_wrap=True, highlight=False, markup=False).print(text)


def _when_done(output: str) -> str:
    return f"when it is done: beam-mat publish {shlex.quote(output)}"


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


def counters(result: Any) -> Counter[str]:
    """This package's counters, each summed over the steps; they grow while a job runs."""
    found: Counter[str] = Counter()
    query = MetricsFilter().with_namespace(NAMESPACE)
    for metric in result.metrics().query(query)["counters"]:
        found[metric.key.metric.name] += int(metric.result or 0)
    return found


class _ToStandardError(logging.Handler):
    """Writes to whatever standard error is at the moment: a progress display may replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


@contextlib.contextmanager
def _messages() -> Iterator[None]:
    # The service's messages, including worker errors with tracebacks. What Beam logs about a
    # submission is left out, because it contains all the options.
    logger = logging.getLogger(DataflowRunner.__module__)
    handler, level = _ToStandardError(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
