"""Records that are rejected for what they are, one or more for every reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from beam_mat.core.limits import MAX_RECORD_BYTES
from beam_mat.core.reject import Reason
from beam_mat.sample.faults import FIRST_NUMBER, Faulty
from beam_mat.sample.records import Record, element, record_id, text_record


def faulty_records(seed: int) -> Iterator[Faulty]:
    """Elements that are rejected for what they are, whatever the images."""
    numbers = iter(range(FIRST_NUMBER, FIRST_NUMBER + 1000))
    for raw in _malformed(text_record(seed, next(numbers))):
        yield Faulty(Reason.MALFORMED_JSON, [raw])
    for value in ("an answer without its record", None, [["id", "image"]]):
        yield Faulty(Reason.NOT_AN_OBJECT, [element(value)])
    yield Faulty(Reason.RECORD_TOO_LARGE, _too_large(record_id(seed, next(numbers))))
    for reason, spoil in _SPOILED_RECORDS:
        record = text_record(seed, next(numbers))
        spoil(record)
        yield Faulty(reason, [element(record)])
    first, second = text_record(seed, next(numbers)), text_record(seed, next(numbers))
    yield Faulty(None, [element(first)])
    yield Faulty(None, [element({**second, "id": first["id"]})], repeats_id=True)


def broken_shard(seed: int) -> bytes:
    """An array of two sound records that breaks off in the middle of its third."""
    numbers = range(FIRST_NUMBER + 2000, FIRST_NUMBER + 2003)
    first, second, third = (element(text_record(seed, number)) for number in numbers)
    return b"[\n" + first + b",\n" + second + b",\n" + third[: len(third) // 2]


def _malformed(record: Record) -> Iterator[bytes]:
    """Brackets and quotes balance, so that the next record is found."""
    good = element(record)
    yield good.replace(b'"correct": "yes"', b'"correct": yes', 1)
    yield good.replace(b'"correct": "yes",', b'"correct": "yes",,', 1)
    yield good.replace(b"Task: ", b"Task\xff: ", 1)


def _too_large(name: str) -> Iterator[bytes]:
    head = {"id": name, "image": "{}", "conversations": [{"role": "user", "content": "Task: "}]}
    yield b"    " + json.dumps(head).encode().removesuffix(b'"}]}')
    line = b"Repeat this sentence until nobody can read it any more. " * 1024
    for _ in range(MAX_RECORD_BYTES // len(line) + 1):
        yield line
    yield b'"}, {"role": "assistant", "content": "No."}]}'


def _turns(record: Record) -> list[dict[str, object]]:
    turns = record["conversations"]
    assert isinstance(turns, list)
    return turns


def _set(key: str, value: object) -> Callable[[Record], None]:
    return lambda record: record.update({key: value})


def _drop(key: str) -> Callable[[Record], None]:
    def spoil(record: Record) -> None:
        del record[key]

    return spoil


def _keep_turns(*which: int) -> Callable[[Record], None]:
    return lambda record: record.update(conversations=[_turns(record)[n] for n in which])


def _set_turn(which: int, key: str, value: object) -> Callable[[Record], None]:
    return lambda record: _turns(record)[which].update({key: value})


def _pictured(field: object, marks: str) -> Callable[[Record], None]:
    def spoil(record: Record) -> None:
        user = _turns(record)[1]
        user["content"] = f"{marks}\n{user['content']}"
        record["image"] = field

    return spoil


_PATH = "data/open_llava_next/coco/train2017/000000000001.jpg"
_OTHER = "data/open_llava_next/coco/train2017/000000000002.jpg"
_PARTS = [{"type": "text", "text": "Task: What is this?"}]

_SPOILED_RECORDS: tuple[tuple[Reason, Callable[[Record], None]], ...] = (
    (Reason.NO_ID, _drop("id")),
    (Reason.NO_ID, _set("id", None)),
    (Reason.NO_TURNS, _drop("conversations")),
    (Reason.NO_TURNS, _set("conversations", [])),
    (Reason.UNKNOWN_ROLE, _set_turn(-1, "role", "gpt")),
    (Reason.UNKNOWN_ROLE, _set_turn(1, "role", "observer")),
    (Reason.CONTENT_NOT_TEXT, _set_turn(-1, "content", "")),
    (Reason.CONTENT_NOT_TEXT, _set_turn(-1, "content", None)),
    (Reason.CONTENT_NOT_TEXT, _set_turn(1, "content", _PARTS)),
    (Reason.ROLES_OUT_OF_ORDER, _keep_turns(0, 1, 1, 2)),
    (Reason.ROLES_OUT_OF_ORDER, _keep_turns(0, 2, 1)),
    (Reason.ODD_TURNS, _keep_turns(0, 1, 2, 1)),
    (Reason.IMAGE_FIELD_INVALID, _pictured(42, "<image>")),
    (Reason.IMAGE_FIELD_INVALID, _pictured('{"<image_00>": 7}', "<image_00>")),
    (Reason.IMAGE_FIELD_INVALID, _pictured(f'{{"<image_00>": "{_PATH}"', "<image_00>")),
    (Reason.UNSAFE_PATH, _pictured("../../etc/passwd", "<image>")),
    (Reason.UNSAFE_PATH, _pictured("/etc/passwd", "<image>")),
    (Reason.UNSAFE_PATH, _pictured("data/open_llava_next/../../../secret.jpg", "<image>")),
    (Reason.PLACEHOLDER_WITHOUT_IMAGE, _pictured("{}", "<image>")),
    (
        Reason.PLACEHOLDER_WITHOUT_IMAGE,
        _pictured(json.dumps({"<image_00>": _PATH}), "<image_00>\n<image_01>"),
    ),
    (Reason.IMAGE_WITHOUT_PLACEHOLDER, _set("image", _PATH)),
    (
        Reason.IMAGE_WITHOUT_PLACEHOLDER,
        _pictured(json.dumps({"<image_01>": _OTHER, "<image_00>": _PATH}), "<image_00>"),
    ),
)
