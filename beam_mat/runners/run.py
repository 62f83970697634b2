"""Starts a graph on its runner and waits for its end."""

from __future__ import annotations

import contextlib
import io
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineState

from beam_mat.core import errors, layout
from beam_mat.core.job import DATAFLOW, IN_PROCESS, PRISM, Job
from beam_mat.runners import progress
from beam_mat.runners.prism import serving
from beam_mat.runners.workers import watched
from beam_mat.storage import files
from beam_mat.transforms.step import NAMESPACE

CANCEL_SECONDS = 5.0


def run(
    job: Job, options: PipelineOptions, add: Callable[[beam.Pipeline], None]
) -> dict[str, float] | None:
    """Runs a conversion.

    Args:
        job: What to convert, and on which runner.
        options: Beam's options.
        add: Adds the graph to a pipeline.

    Returns:
        Seconds of work by step, summed over all workers, if the runner reports them; None when the
        job was submitted and continues on its own.

    Raises:
        BeamMatError: A worker raised it.
        RuntimeError: Anything else failed; its text has the worker's traceback.
    """
    with contextlib.ExitStack() as served:
        read = [shard.uri for shard in job.shards] + [source.uri for source in job.sources]
        served.enter_context(_ready(job.runner, options, [*read, job.settings.output]))

        def submitted(result: Any) -> bool:
            served.close()  # the service has copies of what was prepared
            return _ended(job, options, result)

        return _run(job.runner, options, add, submitted if job.runner == DATAFLOW else None)


def run_graph(
    runner: str,
    options: PipelineOptions,
    add: Callable[[beam.Pipeline], None],
    uris: Iterable[str],
) -> None:
    """Runs any graph to its end. Raises the same errors as `run`.

    Args:
        runner: See `beam_mat.core.job.Job`.
        options: Beam's options.
        add: Adds the graph to a pipeline.
        uris: The places that workers read and write.
    """
    with contextlib.ExitStack() as served:
        served.enter_context(_ready(runner, options, uris))

        def submitted(result: Any) -> bool:
            from beam_mat.runners import dataflow_job

            served.close()
            dataflow_job.wait_or_cancel(result, options)
            return True

        _run(runner, options, add, submitted if runner == DATAFLOW else None)


class Running:
    """A streaming job that is running.

    Attributes:
        ended: Set when it has ended, in whatever way.
    """

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
        """Raises the reason why the job has ended: a streaming job does not end on its own.

        Raises:
            BeamMatError: A worker raised it, or the runner died.
            RuntimeError: Anything else failed; its text has the worker's traceback.
        """
        text = str(self._failure)
        if isinstance(self._failure, grpc.RpcError):
            raise errors.WorkerLostError(
                f"the runner died ({self._failure.details() or self._failure.code()}); see whether "
                "memory ran out, and run the same command again, which resumes"
            ) from self._failure
        raise _known(text) or RuntimeError(f"the job has ended: {text}") from self._failure


def submit_streaming(
    options: PipelineOptions,
    uris: Sequence[str],
    output: str,
    add: Callable[[beam.Pipeline], None],
    *,
    detach: bool,
) -> Running | None:
    """Submits a streaming graph to Dataflow.

    Args:
        options: Beam's options.
        uris: The places that workers read and write.
        output: The dataset's folder.
        add: Adds the graph to a pipeline.
        detach: Whether to leave the job to itself.

    Returns:
        The job, to be followed and ended; None if it is left to itself or was a dry run.
    """
    from beam_mat.runners import dataflow, dataflow_job

    with dataflow.ready(options, uris):
        pipeline = beam.Pipeline(runner=DATAFLOW, options=options)
        add(pipeline)
        result = pipeline.run()
    goes_on = dataflow_job.submitted(result, options, output, detach=detach, endless=True)
    return Running(result) if goes_on else None


class _QuietEnd:
    """Keeps Beam's threads from printing that their runner died, and that they were cancelled.

    `Running.result` reports the first; the second was requested.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _QuietEnd:
        others_hook = threading.excepthook

        def hook(found: Any) -> None:
            if not isinstance(found.exc_value, grpc.RpcError):
                others_hook(found)

        self._stack.callback(setattr, threading, "excepthook", others_hook)
        threading.excepthook = hook
        return self

    def begins(self) -> None:
        """Suppresses all output until the block ends."""
        self._stack.enter_context(contextlib.redirect_stderr(io.StringIO()))

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@contextlib.contextmanager
def streaming(
    runner: str, options: PipelineOptions, add: Callable[[beam.Pipeline], None]
) -> Iterator[Running]:
    """Runs a streaming graph on this machine until the block ends.

    Args:
        runner: See `beam_mat.core.job.Job`.
        options: Beam's options.
        add: Adds the graph to a pipeline.
    """
    with _QuietEnd() as end, _ready(runner, options, ()):
        pipeline = beam.Pipeline(runner=runner, options=options)
        add(pipeline)
        running = Running(pipeline.run())
        try:
            yield running
        finally:
            end.begins()
            running.cancel()


def _run(
    runner: str,
    options: PipelineOptions,
    add: Callable[[beam.Pipeline], None],
    submitted: Callable[[Any], bool] | None,
) -> dict[str, float] | None:
    try:
        pipeline = beam.Pipeline(
            runner=FnApiRunner() if runner == IN_PROCESS else runner, options=options
        )
        add(pipeline)
        result = pipeline.run()
        if submitted and not submitted(result):
            return None
        state = result.wait_until_finish()
        spent = _seconds(result)
    except errors.BeamMatError as error:
        # Raised in this process; Beam has added the name of the step.
        raise type(error)(re.sub(r" \[while running '[^\n]*$", "", str(error))) from None
    except RuntimeError as error:
        raise _known(str(error)) or error from None
    if state not in (None, PipelineState.DONE):
        raise RuntimeError(f"the job ended in state {state}")
    return spent


def hold_off(output: str) -> None:
    """Makes sure that no job of a service still writes to an output folder.

    Raises:
        OutputInUseError: There is such a job.
    """
    if files.exists(files.join(output, layout.SUBMITTED)):
        from beam_mat.runners import dataflow_job

        dataflow_job.hold_off(output)


def _ready(
    runner: str, options: PipelineOptions, uris: Iterable[str]
) -> contextlib.AbstractContextManager[None]:
    if runner == DATAFLOW:
        from beam_mat.runners import dataflow

        return dataflow.ready(options, uris)
    if runner == PRISM:
        return serving(options)
    return watched() if runner == IN_PROCESS else contextlib.nullcontext()


def _ended(job: Job, options: PipelineOptions, result: Any) -> bool:
    from beam_mat.runners import dataflow_job

    output = job.settings.output
    if not dataflow_job.submitted(result, options, output, detach=job.detach):
        return False
    with progress.shown(sum(shard.size for shard in job.shards)) as receiver:
        dataflow_job.wait(result, options, output, receiver.counts)
    return True


def _known(text: str) -> errors.BeamMatError | None:
    """This package's own error at the end of a worker's traceback, if there is one."""
    found = re.findall(
        r"^beam_mat\.core\.errors\.(\w+): (.*?)(?: \[while running '[^\n]*)?$", text, re.MULTILINE
    )
    if not found:
        return None
    name, message = found[-1]
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.BeamMatError):
        return errors.SourceError(message) if kind is errors.ConfigError else kind(message)
    return None


def _seconds(result: Any) -> dict[str, float]:
    spent: dict[str, float] = {}
    for counter in result.metrics().query()["counters"]:
        name = counter.key.metric
        if name.namespace == NAMESPACE and name.name.endswith("_us"):
            step = name.name.removesuffix("_us")
            spent[step] = spent.get(step, 0.0) + (counter.result or 0) / 1e6
    return spent
