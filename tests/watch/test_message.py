"""Notifications of Google's store: where to look, whatever comes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.watch.message import object_of

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
