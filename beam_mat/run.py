"""Starts a graph on its runner and waits for its end."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineState

from beam_mat.config import IN_PROCESS, PRISM, Job
from beam_mat.core import errors
from beam_mat.core.settings import Settings
from beam_mat.pipeline import build
from beam_mat.prism import serving
from beam_mat.transforms.measure import NAMESPACE


def run(job: Job, settings: Settings, options: PipelineOptions) -> dict[str, float]:
    """Runs the conversion.

    Args:
        job: What to convert, and on which runner.
        settings: The job's, with the address of the progress display.
        options: Beam's options.

    Returns:
        Seconds of work by step, added over all workers, as far as the runner tells.

    Raises:
        BeamMatError: A worker raised it.
        RuntimeError: Anything else that failed; its text holds the worker's traceback.
    """
    return run_graph(
        job.runner, options, lambda pipeline: build(pipeline, job.shards, job.sources, settings)
    )


def run_graph(
    runner: str, options: PipelineOptions, add: Callable[[beam.Pipeline], None]
) -> dict[str, float]:
    """Runs any graph. Returns and errors as of `run`.

    Args:
        runner: See `beam_mat.config.Job`.
        options: Beam's options.
        add: Adds the graph to a pipeline.
    """
    engine = FnApiRunner() if runner == IN_PROCESS else runner
    try:
        with serving(options) if runner == PRISM else contextlib.nullcontext():
            pipeline = beam.Pipeline(runner=engine, options=options)
            add(pipeline)
            result = pipeline.run()
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
