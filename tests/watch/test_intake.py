"""The intake: no request to reprocess a shard is lost, and notifications say where to look."""

from __future__ import annotations

import json
from pathlib import Path

import apache_beam as beam
import msgspec
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from beam_mat.core.chunk import Shard
from beam_mat.core.location import Location
from beam_mat.core.settings import Settings
from beam_mat.dataset import log
from beam_mat.dataset.commit import Snapshot
from beam_mat.storage import files
from beam_mat.watch.intake import DecodeNotifications, Intake, object_of
from beam_mat.watch.messages import Stop, Tick, WatchSettings, request_reprocessing, send
from tests.dataset.made import content, how, shard


class Dataset:
    """A dataset of one shard whose record lacks images."""

    def __init__(self, folder: Path) -> None:
        file = folder / "a.json"
        file.write_text("[]")
        found = files.info(str(file))
        self.settings = Settings(str(folder / "out"), resume=True)
        self.watch = WatchSettings(
            self.settings, (Location(found.uri),), (), 0.0, 1.0, 1.0, run="r"
        )
        self.snapshot = Snapshot()
        self.shard = msgspec.structs.replace(
            shard("s"), uri=found.uri, size=found.size, version=found.version, stem="s"
        )
        self.commit()

    def commit(self) -> None:
        """Commits the shard, as it is when it was worked on again with another result."""
        respelled = self.snapshot.number
        self.shard = msgspec.structs.replace(self.shard, respelled=respelled)
        made = self.snapshot.next(how(command="watch"), content([self.shard]))
        assert log.write(self.settings.output, made)
        self.snapshot.apply(made)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def tick(intake: Intake, at: float) -> int:
    """Returns how many shards are let in."""
    return sum(isinstance(made, Shard) for made in intake.tick(at))


def test_an_image_that_comes_while_a_shard_is_reprocessed_has_it_reprocessed_once_more(
    dataset: Dataset,
) -> None:
    intake = Intake(dataset.watch)
    assert tick(intake, 1.0) == 0
    request_reprocessing(dataset.settings, "s")
    assert tick(intake, 2.0) == 1
    request_reprocessing(dataset.settings, "s")
    assert tick(intake, 3.0) == 0, "one after the other"
    dataset.commit()
    assert tick(intake, 4.0) == 1
    dataset.commit()
    assert tick(intake, 5.0) == 0
    assert tick(Intake(dataset.watch), 6.0) == 0, "it has been served"


def test_a_request_that_was_taken_up_and_not_served_is_found_by_the_next_run(
    dataset: Dataset,
) -> None:
    request_reprocessing(dataset.settings, "s")
    assert tick(Intake(dataset.watch), 1.0) == 1
    again = msgspec.structs.replace(dataset.watch, run="r2")
    assert tick(Intake(again), 1.0) == 1


def test_nothing_is_let_in_when_the_watch_is_to_end(dataset: Dataset) -> None:
    intake = Intake(dataset.watch)
    request_reprocessing(dataset.settings, "s")
    send(dataset.watch, Stop(dataset.watch.run))
    assert tick(intake, 1.0) == 0
    assert intake.stopping


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
