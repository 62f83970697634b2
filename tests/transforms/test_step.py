"""What steps share: options of stores, times, counts and progress."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import msgspec
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from fsspec import config

from beam_mat.convert import pipeline
from beam_mat.core.settings import Settings
from beam_mat.storage import stores
from beam_mat.transforms.conversion import ListMembers
from beam_mat.transforms.step import (
    NAMESPACE,
    FileStep,
    Progress,
    count,
    counters,
    send_progress,
    timed,
)
from tests.making import write_zip
from tests.transforms.collect import collect
from tests.transforms.test_conversion import source


@pytest.fixture
def given() -> Iterator[str]:
    yield '{"github": {"org": "someone"}}'
    stores.use({})


def test_a_worker_takes_the_options_that_the_job_has(
    settings: Settings, given: str, tmp_path: Path
) -> None:
    told = msgspec.structs.replace(settings, storage=given)
    archive = write_zip(tmp_path / "f.zip", {"a.jpg": b"one"})
    assert len(collect([source(archive)], ListMembers(told))) == 1
    assert config.conf["github"] == {"org": "someone"}


def test_every_step_of_the_graph_that_opens_files_does(settings: Settings) -> None:
    every = msgspec.structs.replace(settings, drop_duplicates=True)
    graph = beam.Pipeline()
    pipeline.build(graph, [], [], every)
    found = set[type]()

    class Visitor(beam.pipeline.PipelineVisitor):  # type: ignore[misc]
        def visit_transform(self, node: object) -> None:
            transform = getattr(node, "transform", None)
            if isinstance(transform, beam.ParDo):
                found.add(type(transform.fn))

    graph.visit(Visitor())
    ours = {kind for kind in found if kind.__module__.startswith("beam_mat.")}
    pure = {kind.__name__ for kind in ours if not issubclass(kind, FileStep)}
    assert pure == {"Gather"}


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
        send_progress("", records=number)
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
