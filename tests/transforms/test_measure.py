"""What steps tell: time and counts as metrics of the engine."""

from __future__ import annotations

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_mat.transforms.measure import NAMESPACE, count, timed


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


def test_time_counts_when_the_work_fails_too() -> None:
    with pytest.raises(ZeroDivisionError), timed("work"):
        _ = 1 / 0
