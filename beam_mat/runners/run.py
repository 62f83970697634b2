"""Starts a graph on its runner and waits for its end."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineState

from beam_mat.core import errors
from beam_mat.core.job import DATAFLOW, IN_PROCESS, PRISM, Job
from beam_mat.runners import dataflow, progress
from beam_mat.runners.causes import without_step, worker_error
from beam_mat.runners.local import lost, serving, thread_failures, watched
from beam_mat.runners.logs import show_all
from beam_mat.transforms.step import counters

CANCEL_SECONDS = 5.0

AddGraph = Callable[[beam.Pipeline], None]
"""Adds a graph to a pipeline."""


def run(job: Job, options: PipelineOptions, add: AddGraph) -> dict[str, float] | None:
    """Runs a conversion. Returns the same and raises the same errors as `run_graph`."""
    output = job.settings.output

    def wait(result: Any, options: PipelineOptions) -> bool:
        if not dataflow.record_job(result, options, output, detach=job.detach):
            return False
        with progress.shown(sum(shard.size for shard in job.shards)) as receiver:
            dataflow.wait(result, options, output, receiver.counts)
        return True

    uris = [*(shard.uri for shard in job.shards), *(source.uri for source in job.sources), output]
    return run_graph(job.runner, options, add, uris, wait)


def run_graph(
    runner: str,
    options: PipelineOptions,
    add: AddGraph,
    uris: Iterable[str],
    wait: Callable[[Any, PipelineOptions], bool] = dataflow.wait_or_cancel,
) -> dict[str, float] | None:
    """Runs a graph, whose workers read and write `uris`, to its end.

    `wait` waits for a job on Dataflow, or returns False to leave it to itself. Returns the seconds
    of work by step, summed over all workers, or None for a job that continues on its own.

    Raises a BeamMatError that a worker raised. If anything else fails, raises a RuntimeError whose
    text has the worker's traceback.
    """
    with contextlib.ExitStack() as prepared:
        if runner == DATAFLOW:
            prepared.enter_context(dataflow.prepared(options, uris))
        elif runner == PRISM:
            prepared.enter_context(serving(options))
        elif runner == IN_PROCESS:
            prepared.enter_context(watched())
        else:
            show_all()
        try:
            result = _start(runner, options, add)
            if runner == DATAFLOW:
                prepared.close()  # the service has copies of what was prepared
                if not wait(result, options):
                    return None
            state = result.wait_until_finish()
            counted = counters(result)
        except errors.BeamMatError as error:
            # Raised in this process; Beam has added the name of the step.
            raise type(error)(without_step(str(error))) from None
        except RuntimeError as error:
            raise worker_error(str(error)) or error from None
        if state not in (None, PipelineState.DONE):
            raise RuntimeError(f"the job ended in state {state}")
    return {name[:-3]: time / 1e6 for name, time in counted.items() if name.endswith("_us")}


def _start(runner: str, options: PipelineOptions, add: AddGraph) -> Any:
    started = FnApiRunner() if runner == IN_PROCESS else runner
    pipeline = beam.Pipeline(runner=started, options=options)
    add(pipeline)
    return pipeline.run()


class Running:
    """A streaming job that is running. The event `ended` is set when it has ended in any way."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self._failure: BaseException | None = None
        self.ended = threading.Event()
        # Beam raises an exception here if the job failed or its runner died.
        threading.Thread(target=self._wait, name="streaming", daemon=True).start()

    def _wait(self) -> None:
        try:
            self._result.wait_until_finish()
        except BaseException as error:  # noqa: BLE001  # raised by `result`
            self._failure = error
        self.ended.set()

    def cancel(self) -> None:
        """Ends the job; unfinished work is lost."""
        with contextlib.suppress(Exception):  # it may have ended already
            self._result.cancel()
        self.ended.wait(CANCEL_SECONDS)

    def result(self) -> None:
        """Raises why the job has ended, as `run_graph`: a streaming job does not end on its own."""
        text = str(self._failure)
        if isinstance(self._failure, grpc.RpcError):
            why = self._failure.details() or self._failure.code()
            raise lost(f"the runner died ({why})") from self._failure
        raise worker_error(text) or RuntimeError(f"the job has ended: {text}") from self._failure


def submit_streaming(
    options: PipelineOptions, uris: Sequence[str], output: str, add: AddGraph, *, detach: bool
) -> Running | None:
    """Submits a streaming graph, whose workers read and write `uris`, to Dataflow.

    Returns the job, or None if it is left to itself (`detach`) or was a dry run.
    """
    with dataflow.prepared(options, uris):
        result = _start(DATAFLOW, options, add)
    goes_on = dataflow.record_job(result, options, output, detach=detach, endless=True)
    return Running(result) if goes_on else None


@contextlib.contextmanager
def streaming(options: PipelineOptions, add: AddGraph) -> Iterator[Running]:
    """Runs a streaming graph on Prism until the block ends."""

    def is_reported(failure: Any) -> bool:
        return isinstance(failure.exc_value, grpc.RpcError)  # by `Running.result`

    with contextlib.ExitStack() as quiet, thread_failures(is_reported), serving(options):
        running = Running(_start(PRISM, options, add))
        try:
            yield running
        finally:
            # Beam's threads print that they were cancelled.
            quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
            running.cancel()
