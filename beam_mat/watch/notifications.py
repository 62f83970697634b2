"""Decodes the notifications that Google Cloud Storage sends to Pub/Sub about objects.

Source: Cloud Storage's documentation of Pub/Sub notifications: the event and the object's name are
attributes of the message; with the payload format JSON_API_V1 its body is the object's metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import msgspec

from beam_mat.watch.elements import Tick

_EVENTS = ("OBJECT_FINALIZE", "OBJECT_DELETE", "OBJECT_ARCHIVE")
"""Events that change the content of an object. A change of metadata is ignored."""


@beam.typehints.with_output_types(tuple[str, Tick])
class DecodeNotifications(beam.DoFn):
    """Yields the URI of the object that a message is about, if it is about one."""

    def process(self, message: Any) -> Iterator[tuple[str, Tick]]:
        uri = object_of(message.attributes or {}, message.data or b"")
        if uri:
            yield "", Tick(None, uri)


class _Object(msgspec.Struct):
    bucket: str = ""
    name: str = ""


def object_of(attributes: Mapping[str, str], body: bytes) -> str | None:
    """Returns the URI of the object that a notification is about, or None.

    Messages arrive twice, late and out of order. They say where to look, not what is there.

    >>> object_of({"eventType": "OBJECT_FINALIZE", "bucketId": "b", "objectId": "in/a.json"}, b"")
    'gs://b/in/a.json'
    >>> object_of({"eventType": "OBJECT_METADATA_UPDATE", "bucketId": "b", "objectId": "a"}, b"")
    """
    if attributes.get("eventType", _EVENTS[0]) not in _EVENTS:
        return None
    bucket, name = attributes.get("bucketId", ""), attributes.get("objectId", "")
    if not (bucket and name):
        try:
            found = msgspec.json.decode(body, type=_Object)
        except (msgspec.DecodeError, RecursionError):
            return None
        bucket, name = found.bucket, found.name
    return f"gs://{bucket}/{name}" if bucket and name else None
