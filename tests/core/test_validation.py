"""The last word on a record: accepted into one split, or rejected with its place."""

from __future__ import annotations

import msgspec
import pytest

from beam_mat.core.chunk import Chunk, RawRecord
from beam_mat.core.image import ImageFault
from beam_mat.core.limits import MAX_RAW_BYTES, MAX_RECORD_IMAGE_BYTES
from beam_mat.core.reject import Reason
from beam_mat.core.results import ImageOutcome
from beam_mat.core.scan import Span
from beam_mat.core.settings import Settings
from beam_mat.core.trajectory import Schema
from beam_mat.core.validation import ChunkResult, validate
from tests.build import chunk, encode, record, shard, turn

SETTINGS = Settings(output="/out")


def raws(*values: object, of: Chunk | None = None) -> list[RawRecord]:
    held, at = [], 1
    for index, value in enumerate(values):
        data = value if isinstance(value, bytes) else encode(value)
        held.append(RawRecord(of or chunk(), index, Span(at, at + len(data)), data))
        at += len(data) + 1
    return held


def checked(
    *values: object,
    faults: dict[str, ImageFault | None] | None = None,
    repeated: frozenset[int] = frozenset(),
    settings: Settings = SETTINGS,
) -> ChunkResult:
    outcomes = {
        path: ImageOutcome(path, fault, file="" if fault else f"images/{path}.0123.jpg")
        for path, fault in (faults or {}).items()
    }
    result = validate(raws(*values), outcomes, repeated, settings)
    assert result.accepted + len(result.rejects) == len(values)
    return result


def with_image(id: str, path: str = "a.jpg") -> dict[str, object]:
    return record("<image>", "So.", id=id, image=path)


def test_accepted_records_are_sorted_by_split_and_by_images() -> None:
    result = checked(record(id="t"), with_image("i"), record(id="u"), faults={"a.jpg": None})
    (((subset, split), (with_images, text_only)),) = result.trajectories.items()
    assert (subset, split) == ("", "train")
    assert [item.id for item in with_images] == ["i"]
    assert [item.id for item in text_only] == ["t", "u"]
    assert result.image_uses == 1
    assert [item.images for item in with_images] == [("images/a.jpg.0123.jpg",)], "files, not paths"


def test_a_bad_image_rejects_just_the_records_that_use_it() -> None:
    fault = ImageFault(Reason.IMAGE_TRUNCATED, "cut off")
    result = checked(
        with_image("1"),
        with_image("2", "b.jpg"),
        record(id="3"),
        faults={"a.jpg": fault, "b.jpg": None},
    )
    (reject,) = result.rejects
    assert (reject.id, reject.reason, reject.detail) == ("1", fault.reason, fault.detail)


def test_an_image_of_which_nothing_is_known_is_a_bug() -> None:
    with pytest.raises(KeyError):
        checked(with_image("1"))


def test_boxes_of_resized_images_are_counted() -> None:
    resized = ImageOutcome("r.jpg", file="r", original=(800, 600), written=(591, 443))
    kept = ImageOutcome("k.jpg", file="k", original=(400, 300), written=(400, 300))
    box, none = "It is at [10, 20, 500, 510].", "It is there."
    records = [
        record("<image>", box, id="answer", image="r.jpg"),
        record(f"<image> {box}", none, id="question", image="r.jpg"),
        record("<image>", none, id="none", image="r.jpg"),
        record("<image>", box, id="kept", image="k.jpg"),
        record("What?", box, id="text"),
        record("<image>", box, id="rejected", image="gone.jpg"),
        record("<image>", "[10, 20, 810, 700]", id="too large", image="r.jpg"),
    ]
    gone = ImageOutcome("gone.jpg", ImageFault(Reason.IMAGE_MISSING, "it is nowhere"))
    outcomes = {one.path: one for one in (resized, kept, gone)}
    found = validate(raws(*records), outcomes, set(), SETTINGS).statistics.pixel_boxes
    assert found.records == 2
    assert set(found.examples) == {"answer", "question"}


def test_a_repeated_id_is_rejected_unless_something_else_is_wrong() -> None:
    result = checked(record(), record(), record(conversations=[]), repeated=frozenset({1, 2}))
    assert [reject.reason for reject in result.rejects] == [Reason.DUPLICATE_ID, Reason.NO_TURNS]
    assert "i1" in result.rejects[0].detail


def test_repeated_ids_stay_on_one_side_of_the_split() -> None:
    settings = Settings(output="/out", val_fraction=0.5)
    result = checked(*(record(id=f"i{at % 20}") for at in range(60)), settings=settings)
    sides = {
        split: {item.id for group in groups for item in group}
        for (_, split), groups in result.trajectories.items()
    }
    assert sides["train"]
    assert sides["val"]
    assert not sides["train"] & sides["val"]


def test_a_reject_names_the_very_bytes() -> None:
    broken = b'{"id": "\xff\xc3\xa9'
    result = checked(record(), broken)
    (reject,) = result.rejects
    assert (reject.source, reject.index) == ("/data/mat.json", 1)
    assert reject.end - reject.start == len(broken)
    assert reject.record == '{"id": "\\xffé'
    assert not reject.record_truncated


def test_a_reject_of_a_faulty_range_carries_its_beginning() -> None:
    of = chunk(shard=shard(5 << 20), end=5 << 20, fault=Reason.MALFORMED_JSON, detail="cut off")
    record = RawRecord(of, 7, Span(1, 5 << 20), b"x" * (MAX_RAW_BYTES + 1))
    (reject,) = validate([record], {}, set(), SETTINGS).rejects
    assert (reject.reason, reject.detail, reject.index) == (of.fault, "cut off", 7)
    assert (reject.start, reject.end) == (1, 5 << 20)
    assert len(reject.record) == MAX_RAW_BYTES
    assert reject.record_truncated


def test_rejects_are_counted_by_reason_with_the_first_of_each() -> None:
    result = checked([], b"{", 1, record(id=None), "x")
    counts = result.counts()
    assert [(count.reason, count.count) for count in counts] == [
        (Reason.MALFORMED_JSON, 1),
        (Reason.NOT_AN_OBJECT, 3),
        (Reason.NO_ID, 1),
    ]
    assert counts[1].first.index == 0
    assert counts[1].first.record == ""
    assert sum(count.count for count in counts) == len(result.rejects)


def test_words_respelled_are_counted_of_accepted_records_alone() -> None:
    result = checked(record("a", "<image>"), record("<image>", "<image> <audio>"))
    assert (result.accepted, result.respelled) == (1, 1)


def test_boxes_of_ms_swift_follow_their_image() -> None:
    value = {
        "messages": [turn("user", "Where? <ref-object>"), turn("assistant", "<bbox> or <bbox>")],
        "images": ["a.jpg"],
        "objects": {"ref": ["a cat"], "bbox": [[10, 20, 100, 200], [3, 5.5]]},
    }
    of = msgspec.structs.replace(chunk(), schema=Schema.MS_SWIFT)
    outcome = ImageOutcome("a.jpg", file="f", original=(200, 400), written=(100, 100))
    result = validate(raws(value, of=of), {"a.jpg": outcome}, frozenset(), SETTINGS)
    ((with_images, _),) = result.trajectories.values()
    (found,) = with_images
    texts = [one.content for one in found.turns]
    assert texts == ["<image>Where? a cat", "[5, 5, 50, 50] or [2, 1.375]"]
    assert not result.statistics.pixel_boxes.records


def test_images_that_a_row_would_repeat_too_often_reject_their_record() -> None:
    half = MAX_RECORD_IMAGE_BYTES // 2
    outcomes = {"a.jpg": ImageOutcome("a.jpg", file="images/a.0123.jpg", bytes=half)}
    twice, thrice = (
        record(" ".join(["<image>"] * often), "So.", id=f"i{often}", image=["a.jpg"] * often)
        for often in (2, 3)
    )
    result = validate(raws(twice, thrice), outcomes, frozenset(), SETTINGS)
    assert result.accepted == 1
    (reject,) = result.rejects
    assert reject.reason is Reason.RECORD_TOO_LARGE
    assert reject.detail == (
        f"the images of the record have {3 * half} bytes; the limit is {2 * half}"
    )
