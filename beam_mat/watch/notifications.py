"""Reads Pub/Sub messages about files for the intake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io import ReadFromPubSub

from beam_mat.watch.elements import Tick
from beam_mat.watch.message import object_of


class _Notifications(beam.PTransform):
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
    """Returns a transform that reads the notifications of a subscription."""
    return _Notifications(subscription)


@beam.typehints.with_output_types(tuple[str, Tick])
class Objects(beam.DoFn):
    """Yields the URI of the file that a message is about, if it is about one."""

    def process(self, message: Any) -> Iterator[Any]:
        uri = object_of(message.attributes or {}, message.data or b"")
        if uri:
            yield "", Tick(None, uri)
