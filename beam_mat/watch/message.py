"""Notifications that Google's store sends to Pub/Sub when an object comes or goes.

Source: Cloud Storage's documentation of Pub/Sub notifications: the event and the object's name are
attributes of the message; with the payload format JSON_API_V1 its body is the object's metadata.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

_EVENTS = ("OBJECT_FINALIZE", "OBJECT_DELETE", "OBJECT_ARCHIVE")
"""Those after which a name holds something else; a change of metadata alone is no news."""


class _Object(msgspec.Struct):
    bucket: str = ""
    name: str = ""


def object_of(attributes: Mapping[str, str], body: bytes) -> str | None:
    """The URI of the object that a notification is about, or None if it is about none.

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
