"""Steps tell their workers how stores are reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import msgspec
import pytest
from fsspec import config

from beam_mat.convert import pipeline
from beam_mat.core.settings import Settings
from beam_mat.storage import stores
from beam_mat.transforms.images import ListMembers
from beam_mat.transforms.step import FileStep
from tests.making import write_zip
from tests.transforms.collect import collect
from tests.transforms.test_images import source


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
    assert pure == {"FindRepeated", "Gather", "Open", "PlanMix"}
