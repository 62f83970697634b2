"""Notifications in a stream: each tells the intake where to look, and nothing else does."""

from __future__ import annotations

import json

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.testing.util import assert_that, equal_to

from beam_mat.watch.elements import Tick
from beam_mat.watch.notifications import Objects
from tests.watch.test_message import ATTRIBUTES, BODY


def message(name: str, event: str = "OBJECT_FINALIZE") -> PubsubMessage:
    """What Google's store sends for an object."""
    attributes = {**ATTRIBUTES, "objectId": name, "eventType": event}
    return PubsubMessage(json.dumps({**BODY, "name": name}).encode(), attributes)


def test_a_stream_of_notifications() -> None:
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    stream = (
        Stream()
        .advance_watermark_to(0)
        .add_elements([message("in/a.json"), message("in/a.json")])
        .advance_watermark_to(10)
        .add_elements([PubsubMessage(b"\xff{", {"x": "y"}), message("in/b.zip")])
        .add_elements([message("in/a.json", "OBJECT_METADATA_UPDATE")])
        .advance_watermark_to(20)
        .add_elements([message("in/a.json", "OBJECT_DELETE")])
        .advance_watermark_to_infinity()
    )
    with Pipeline(options=options) as pipeline:
        told = pipeline | stream | beam.ParDo(Objects()) | beam.Map(_uri)
        assert_that(told, equal_to([*["gs://mat/in/a.json"] * 3, "gs://mat/in/b.zip"]))


def _uri(told: tuple[str, Tick]) -> str:
    return told[1].uri


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"\xff"])
def test_other_messages_are_no_news(data: bytes) -> None:
    assert list(Objects().process(PubsubMessage(data, {}))) == []
