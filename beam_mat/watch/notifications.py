"""Pub/Sub messages to places where the intake is to look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io import ReadFromPubSub

from beam_mat.core.notification import object_of
from beam_mat.watch.facts import Tick


class _Told(beam.PTransform):
    def __init__(self, subscription: str) -> None:
        super().__init__()
        self._subscription = subscription

    def expand(self, begin: Any) -> Any:
        return (
            begin
            | "Read" >> ReadFromPubSub(subscription=self._subscription, with_attributes=True)
            | "Objects" >> beam.ParDo(Objects())
        )


def notifications(subscription: str) -> beam.PTransform:
    """The notifications of a subscription, as news for the intake."""
    return _Told(subscription)


@beam.typehints.with_output_types(tuple[str, Tick])
class Objects(beam.DoFn):
    """Yields the object that a message tells of."""

    def process(self, message: Any) -> Iterator[Any]:
        """Yields nothing for other messages."""
        uri = object_of(message.attributes or {}, message.data or b"")
        if uri:
            yield "", Tick(None, uri)
