"""What steps tell: time and counts as metrics of the engine."""

from __future__ import annotations

import threading

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_mat.runners.dataflow import counters
from beam_mat.transforms.measure import NAMESPACE, Progress, count, tell, timed


class Work(beam.DoFn):  # type: ignore[misc]
    def process(self, number: int) -> None:
        count("seen", number)
        count("never", 0)
        with timed("work"):
            pass


def test_times_and_counts_are_metrics() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create([2, 3]) | beam.ParDo(Work())
    result = pipeline.run()
    result.wait_until_finish()
    found = {
        counter.key.metric.name: counter.result
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == NAMESPACE
    }
    assert found["seen"] == 5
    assert found["work_us"] >= 0
    assert "never" not in found


class Tell(beam.DoFn):  # type: ignore[misc]
    """Tells nobody in particular: of its element at once, and from a thread at the bundle's end."""

    def start_bundle(self) -> None:
        self._told = Progress("")

    def process(self, number: int) -> None:
        tell("", records=number)
        thread = threading.Thread(target=self._told.add, kwargs={"images": number})
        thread.start()
        thread.join()

    def finish_bundle(self) -> None:
        self._told.flush()


def test_progress_is_a_metric_where_no_display_can_be_told() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create([2, 3]) | beam.ParDo(Tell())
    result = pipeline.run()
    result.wait_until_finish()
    assert counters(result) == {"records": 5, "images": 5}


def test_time_counts_when_the_work_fails_too() -> None:
    with pytest.raises(ZeroDivisionError), timed("work"):
        _ = 1 / 0
