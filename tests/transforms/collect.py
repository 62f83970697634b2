"""A transform's output as a list."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_mat.transforms.shuffle import register

_found: dict[str, list[Any]] = {}


class _Keep(beam.DoFn):  # type: ignore[misc]
    def __init__(self, key: str) -> None:
        self._key = key

    def process(self, element: Any) -> None:
        _found[self._key].append(element)


def collect(inputs: Iterable[Any], *steps: beam.PTransform | beam.DoFn) -> list[Any]:
    """Applies steps to elements and returns what comes out, in no particular order.

    Args:
        inputs: The elements; a grouped one is a key and a list.
        steps: Transforms; a DoFn is applied to each element.
    """
    register()
    key = uuid.uuid4().hex
    _found[key] = []
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        collection = pipeline | beam.Create(list(inputs))
        for step in steps:
            applied = beam.ParDo(step) if isinstance(step, beam.DoFn) else step
            collection |= applied
        collection | "Keep" >> beam.ParDo(_Keep(key))
    return _found.pop(key)
