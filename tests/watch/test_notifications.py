"""Notifications of Google's store, one by one and in a stream: each says where to look."""

from __future__ import annotations

import json

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.watch.elements import Tick
from beam_mat.watch.notifications import DecodeNotifications, object_of

BODY = {
    "kind": "storage#object",
    "id": "mat/in/2026/shard 1.json/1795689857700336",
    "selfLink": "https://www.googleapis.com/storage/v1/b/mat/o/in%2F2026%2Fshard%201.json",
    "name": "in/2026/shard 1.json",
    "bucket": "mat",
    "generation": "1795689857700336",
    "metageneration": "1",
    "contentType": "application/json",
    "timeCreated": "2026-11-26T10:44:17.703Z",
    "updated": "2026-11-26T10:44:17.703Z",
    "storageClass": "STANDARD",
    "size": "735057",
    "md5Hash": "CY9rzUYh03PK3k6DJie09g==",
    "crc32c": "yZRlqg==",
    "etag": "CLC0+uzJlpkDEAE=",
}
ATTRIBUTES = {
    "notificationConfig": "projects/_/buckets/mat/notificationConfigs/1",
    "eventType": "OBJECT_FINALIZE",
    "payloadFormat": "JSON_API_V1",
    "bucketId": "mat",
    "objectId": "in/2026/shard 1.json",
    "objectGeneration": "1795689857700336",
    "eventTime": "2026-11-26T10:44:17.704000Z",
}
URI = "gs://mat/in/2026/shard 1.json"


def test_a_new_object() -> None:
    assert object_of(ATTRIBUTES, json.dumps(BODY).encode()) == URI


def test_without_a_payload_the_attributes_tell() -> None:
    assert object_of({**ATTRIBUTES, "payloadFormat": "NONE"}, b"") == URI


def test_without_attributes_the_payload_tells() -> None:
    assert object_of({}, json.dumps(BODY).encode()) == URI


def test_an_object_that_is_written_over_is_deleted_and_finalized() -> None:
    over = {**ATTRIBUTES, "overwroteGeneration": "1795689857700001"}
    gone = {
        **ATTRIBUTES,
        "eventType": "OBJECT_DELETE",
        "overwrittenByGeneration": "1795689857700336",
    }
    assert object_of(over, b"") == object_of(gone, b"") == URI


@pytest.mark.parametrize("event", ["OBJECT_METADATA_UPDATE", "SOMETHING_NEW", ""])
def test_other_events_are_no_news(event: str) -> None:
    assert object_of({**ATTRIBUTES, "eventType": event}, json.dumps(BODY).encode()) is None


@given(
    st.dictionaries(st.sampled_from([*ATTRIBUTES, "x"]), st.text(max_size=20)),
    st.binary()
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()),
)
def test_whatever_comes_it_names_an_object_or_nothing(
    attributes: dict[str, str], body: bytes
) -> None:
    found = object_of(attributes, body)
    assert found is None or found.startswith("gs://")


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
        told = pipeline | stream | beam.ParDo(DecodeNotifications()) | beam.Map(_uri)
        assert_that(told, equal_to([*["gs://mat/in/a.json"] * 3, "gs://mat/in/b.zip"]))


def _uri(told: tuple[str, Tick]) -> str:
    return told[1].uri


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"\xff"])
def test_other_messages_are_no_news(data: bytes) -> None:
    assert list(DecodeNotifications().process(PubsubMessage(data, {}))) == []
