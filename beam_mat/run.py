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

from beam_mat import progress
from beam_mat.config import DATAFLOW, IN_PROCESS, PRISM, Job
from beam_mat.core import errors, layout
from beam_mat.core.settings import Settings
from beam_mat.pipeline import build
from beam_mat.prism import serving
from beam_mat.storage import files
from beam_mat.transforms.measure import NAMESPACE
from beam_mat.workers import watched

CANCEL_SECONDS = 5.0


def run(job: Job, settings: Settings, options: PipelineOptions) -> dict[str, float] | None:
    """Runs the conversion.

    Args:
        job: What to convert, and on which runner.
        settings: The job's, with the address of the progress display.
        options: Beam's options.

    Returns:
        Seconds of work by step, added over all workers, as far as the runner tells; None when the
        job goes on by itself.

    Raises:
        BeamMatError: A worker raised it.
        RuntimeError: Anything else that failed; its text holds the worker's traceback.
    """
    with contextlib.ExitStack() as served:
        read = [shard.uri for shard in job.shards] + [source.uri for source in job.sources]
        served.enter_context(_ready(job.runner, options, [*read, job.settings.output]))

        def submitted(result: Any) -> bool:
            served.close()  # the service has what was made ready for it
            return _ended(job, options, result)

        return _run(
            job.runner,
            options,
            lambda pipeline: build(pipeline, job.shards, job.sources, settings),
            submitted if job.runner == DATAFLOW else None,
        )


def run_graph(
    runner: str,
    options: PipelineOptions,
    add: Callable[[beam.Pipeline], None],
    uris: Iterable[str],
) -> None:
    """Runs any graph to its end. Errors as of `run`.

    Args:
        runner: See `beam_mat.config.Job`.
        options: Beam's options.
        add: Adds the graph to a pipeline.
        uris: The places that workers read and write.
    """
    with contextlib.ExitStack() as served:
        served.enter_context(_ready(runner, options, uris))

        def submitted(result: Any) -> bool:
            from beam_mat import dataflow_job

            served.close()
            dataflow_job.wait_or_cancel(result, options)
            return True

        _run(runner, options, add, submitted if runner == DATAFLOW else None)


class Running:
    """A streaming job that is under way on this machine.

    Attributes:
        ended: Set when it has come to an end, whichever.
    """

    def __init__(self, result: Any) -> None:
        self._result = result
        self._failure: BaseException | None = None
        self.ended = threading.Event()
        # Beam ends the wait by an exception where the job failed, or its runner is gone.
        threading.Thread(target=self._wait, name="streaming", daemon=True).start()

    def _wait(self) -> None:
        try:
            self._result.wait_until_finish()
        except BaseException as error:  # noqa: BLE001  # told by `result`
            self._failure = error
        self.ended.set()

    def cancel(self) -> None:
        """Ends the job; what it had not finished is lost."""
        with contextlib.suppress(Exception):  # it has ended by itself
            self._result.cancel()
        self.ended.wait(CANCEL_SECONDS)

    def result(self) -> None:
        """Tells why the job has ended, which a job without end should not.

        Raises:
            BeamMatError: A worker raised it, or the runner is gone.
            RuntimeError: Anything else that failed; its text holds the worker's traceback.
        """
        text = str(self._failure)
        if isinstance(self._failure, grpc.RpcError):
            raise errors.WorkerLostError(
                f"the runner has gone ({self._failure.details() or self._failure.code()}); see "
                "whether memory ran out, and run the same command again, which goes on from here"
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
        The job, to be followed and ended; None where it is left to itself, or only looked at.
    """
    from beam_mat import dataflow, dataflow_job

    with dataflow.ready(options, uris):
        pipeline = beam.Pipeline(runner=DATAFLOW, options=options)
        add(pipeline)
        result = pipeline.run()
    goes_on = dataflow_job.submitted(result, options, output, detach=detach, endless=True)
    return Running(result) if goes_on else None


class _QuietEnd:
    """Keeps Beam's threads from printing that their runner has gone, and that they were ended.

    The first is told by `Running.result`, the second is what was asked for.
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
        """From here on nothing is printed until the block ends."""
        self._stack.enter_context(contextlib.redirect_stderr(io.StringIO()))

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@contextlib.contextmanager
def streaming(
    runner: str, options: PipelineOptions, add: Callable[[beam.Pipeline], None]
) -> Iterator[Running]:
    """Runs a streaming graph on this machine while the block lasts.

    Args:
        runner: See `beam_mat.config.Job`.
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
        # Raised in this process; Beam has added which step it was.
        raise type(error)(re.sub(r" \[while running '[^\n]*$", "", str(error))) from None
    except RuntimeError as error:
        raise _known(str(error)) or error from None
    if state not in (None, PipelineState.DONE):
        raise RuntimeError(f"the job ended in state {state}")
    return spent


def hold_off(output: str) -> None:
    """Keeps away from an output folder that a service's job still writes to.

    Raises:
        OutputInUseError: There is such a job.
    """
    if files.exists(files.join(output, layout.SUBMITTED)):
        from beam_mat import dataflow_job

        dataflow_job.hold_off(output)


def _ready(
    runner: str, options: PipelineOptions, uris: Iterable[str]
) -> contextlib.AbstractContextManager[None]:
    if runner == DATAFLOW:
        from beam_mat import dataflow

        return dataflow.ready(options, uris)
    if runner == PRISM:
        return serving(options)
    return watched() if runner == IN_PROCESS else contextlib.nullcontext()


def _ended(job: Job, options: PipelineOptions, result: Any) -> bool:
    from beam_mat import dataflow_job

    output = job.settings.output
    if not dataflow_job.submitted(result, options, output, detach=job.detach):
        return False
    with progress.shown(sum(shard.size for shard in job.shards)) as receiver:
        dataflow_job.wait(result, options, output, receiver.counts)
    return True


def _known(text: str) -> errors.BeamMatError | None:
    """The project's own error inside a worker's traceback, if that is what it ends with."""
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
